/* port.h: the end of posting that is the loop's own. Internal to core.
 *
 * Every loop has a port, which is its inbox. Until the first post it
 * has no descriptor: the first post rings the loop's alarm, which is one already. */
#ifndef TIDE_PORT_H
#define TIDE_PORT_H

#include "post.h"

/* A port with one reference, the loop's, that rings this timer of the system's, and closes it in
 * the end. NULL where memory is short. */
tide_port *tide__port_make(tide_loop *loop, int alarm);

/* The loop is being freed: what is there, and what that posts, is dropped; gives up the loop's
 * reference. */
void tide__port_close(tide_port *port);

/* Whether something was posted that has not run. */
bool tide__port_waits(const tide_port *port);

/* The alarm rings now, where something waits: to be called after the alarm was set to anything, as
 * that may have been after a post had it ring. */
void tide__port_ring_again(const tide_port *port);

/* The loop is going to wait, or may be, and is to be woken: whether something waits already. */
bool tide__port_doze(tide_port *port);

/* It will look by itself, and need not be woken, until it dozes or leaves. */
void tide__port_attend(tide_port *port);

/* The end of a poll: runs what was posted. */
void tide__port_look(tide_port *port);

/* It will not look until it is turned again: its descriptor says where it should be. */
void tide__port_leave(tide_port *port);

/* While the loop is being freed: waits until something is posted, and drops it. */
void tide__port_await(tide_port *port);

/* A reference for one that is made and given back in the loop's thread, and costs next to nothing
 * there. It may be given back in any thread once posts are refused. */
tide_port *tide__port_lend(tide_loop *loop);
void tide__port_give_back(tide_port *port);

#endif
