/* owned.h: objects that own something outside of Lua: memory of the core's, a descriptor, what a
 * host gave. It is given back when the object is collected, or with the runtime.
 *
 * A state that is closed calls all finalizers, newest first: those of objects in which tasks wait,
 * and last the runtime's. So these do nothing then, and all stays as it is until the runtime has
 * taken the tasks out of what they wait for. */
#ifndef TL_OWNED_H
#define TL_OWNED_H

#include "class.h"

/* Makes the class one whose objects own something: it gets a finalizer. `release` gives back what
 * the object owns: called once, when no task waits for it, and never before the object's memory
 * was set to zero. What it raises, which only a host's functions in it do, is told. */
void tl_owned_class(lua_State *L, tl_runtime *rt, tl_class class,
                    void (*release)(tl_runtime *rt, void *object));

/* A new object of such a class, on top; zeros. What it is going to own must come at once: before
 * anything that may raise. [-0, +1, m] */
void *tl_owned_new(lua_State *L, tl_runtime *rt, tl_class class, size_t size, int user_values);

/* At the end: gives back what all of them own. */
void tl_owned_release_all(lua_State *L, tl_runtime *rt);

#endif
