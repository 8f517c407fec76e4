/* signals.h: what SIGINT and SIGTERM do to the program. */
#ifndef TIDE_SIGNALS_H
#define TIDE_SIGNALS_H

#include <lua.h>

/* From now on: the first cancels main, and interrupts code that reaches no wait within half a
 * second; the second interrupts at once; the third, and any once main has ended, ends the process.
 * For one state of the process. -1: not to be had, errno says why. */
int tide_signals_catch(lua_State *L);

/* Signals do again what they did. */
void tide_signals_release(void);

/* The first that came, or 0. */
int tide_signals_first(void);

#endif
