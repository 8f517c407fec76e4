/* stop.h: a state's tasks are being ended for good. */
#ifndef TL_STOP_H
#define TL_STOP_H

typedef struct tl_runtime tl_runtime;
typedef struct tl_stop tl_stop;

void tl_stop_look(tl_stop *stop); /* the last of its tasks has ended, or tide.run returns */
void tl_stop_end(tl_runtime *rt); /* the state is being closed meanwhile */

#endif
