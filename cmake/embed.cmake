# Writes Lua sources into a C file: cmake -DFILES=a.lua;b.lua -DOUTPUT=embedded.c -P embed.cmake
# lua/tide/foo.lua becomes the entry "tide.foo" of tl_embedded, see bindings/embedded.h.
set(arrays "")
set(entries "")

foreach(file IN LISTS FILES)
  cmake_path(GET file STEM LAST_ONLY name)
  string(MAKE_C_IDENTIFIER "source_${name}" array)
  file(SIZE ${file} size)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(APPEND arrays "static const unsigned char ${array}[] = {${bytes}0};\n")
  string(APPEND entries "    {\"tide.${name}\", (const char *)${array}, ${size}},\n")
endforeach()

file(WRITE ${OUTPUT} "/* Made from lua/tide/ by cmake/embed.cmake. */
#include \"embedded.h\"

#include <stddef.h>

${arrays}
const struct tl_embedded tl_embedded[] = {
${entries}    {NULL, NULL, 0},
};
")
