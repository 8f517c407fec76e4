/* config.h: what every public header needs: export marks and C++ guards. */
#ifndef TIDE_CONFIG_H
#define TIDE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TIDE_API __attribute__((visibility("default")))
#else
#define TIDE_API
#endif

#ifdef __cplusplus
#define TIDE_BEGIN_DECLS extern "C" {
#define TIDE_END_DECLS   }
#else
#define TIDE_BEGIN_DECLS
#define TIDE_END_DECLS
#endif

/* The struct of type `type` whose member `member` is at `pointer`. */
#define tide_container(pointer, type, member) \
  ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
