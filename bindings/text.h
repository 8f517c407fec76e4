/* text.h: errors as texts, for who prints them; of nothing else of tide's. */
#ifndef TL_TEXT_H
#define TL_TEXT_H

#include <lua.h>

/* Of the error on top, in whose place it stays. Raises nothing; [-1, +1, -] */
const char *tl_text_of(lua_State *L);

#endif
