/* slab.c: pages of equal blocks. */
#include "slab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "list.h"

enum {
  PAGE_SIZE = 64 * 1024, /* and alignment: a block's page is found from its address */
  GRAIN = 8,
  LARGEST = 1024,
  CLASSES = LARGEST / GRAIN + 1,
  KEPT_PAGES = 16,   /* empty ones that keep their memory */
  REGION_PAGES = 64, /* what is asked of the system at a time */
};

typedef struct block {
  struct block *next;
} block;

typedef struct page {
  tide_list link; /* among the pages of its class that have room, or among the empty ones */
  block *free;    /* blocks given back */
  char *fresh;    /* blocks from here on were never used */
  uint32_t used;  /* blocks given out */
  uint32_t class; /* which size */
} page;

/* Pages next to each other, as the system gave them. */
typedef struct region {
  struct region *next;
  char *memory; /* as mapped; the pages are the aligned part */
} region;

enum { REGION_SIZE = (REGION_PAGES + 1) * PAGE_SIZE };

struct tide_slab {
  tide_list partial[CLASSES]; /* pages with room, by class; allocation takes the first */
  tide_list full;             /* pages without */
  tide_list empty;            /* pages of no class that keep their memory */
  block *returned;    /* pages of no class whose memory went back, through their first word */
  region *regions;    /* all there are */
  char *next_page;    /* in the newest region, pages from here on were never used */
  size_t pages_left;  /* how many */
  size_t empty_count; /* of `empty` */
  size_t page_count;  /* of a class, or in `empty` */
};

static inline uint32_t class_of(size_t size) { return (uint32_t)((size + GRAIN - 1) / GRAIN); }

static inline page *page_of(void *memory) {
  return (page *)((uintptr_t)memory & ~(uintptr_t)(PAGE_SIZE - 1));
}

static inline bool has_fresh(const page *p) {
  return p->fresh + (size_t)p->class * GRAIN <= (const char *)p + PAGE_SIZE;
}

tide_slab *tide_slab_new(void) {
  tide_slab *slab = calloc(1, sizeof *slab);
  if (slab == NULL) return NULL;
  for (int i = 0; i < CLASSES; i++) tide_list_init(&slab->partial[i]);
  tide_list_init(&slab->full);
  tide_list_init(&slab->empty);
  return slab;
}

void tide_slab_free(tide_slab *slab) {
  if (slab == NULL) return;
  for (region *r = slab->regions, *next; r != NULL; r = next) {
    next = r->next;
    munmap(r->memory, REGION_SIZE);
    free(r);
  }
  free(slab);
}

size_t tide_slab_bytes(const tide_slab *slab) { return slab->page_count * PAGE_SIZE; }

static bool add_region(tide_slab *slab) {
  region *r = malloc(sizeof *r);
  if (r == NULL) return false;
  r->memory = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (r->memory == MAP_FAILED) {
    free(r);
    return false;
  }
  r->next = slab->regions;
  slab->regions = r;
  slab->next_page = (char *)page_of(r->memory + PAGE_SIZE - 1);
  slab->pages_left = REGION_PAGES;
  return true;
}

/* A page of no class: one that is empty, one whose memory went back, or a new one. */
static page *find_page(tide_slab *slab) {
  if (slab->empty_count > 0) {
    slab->empty_count--;
    return tide_container(tide_list_shift(&slab->empty), page, link);
  }
  if (slab->returned == NULL && slab->pages_left == 0 && !add_region(slab)) return NULL;
  slab->page_count++;
  void *memory = slab->returned;
  if (memory != NULL) {
    slab->returned = slab->returned->next;
  } else {
    memory = slab->next_page;
    slab->next_page += PAGE_SIZE;
    slab->pages_left--;
  }
  return memory;
}

/* Puts a page without blocks in front of its class's. */
static page *add_page(tide_slab *slab, uint32_t class) {
  page *p = find_page(slab);
  if (p == NULL) return NULL;
  p->free = NULL;
  p->fresh = (char *)p + (sizeof *p + 15) / 16 * 16;
  p->used = 0;
  p->class = class;
  tide_list_prepend(&slab->partial[class], &p->link);
  return p;
}

static void *slab_take(tide_slab *slab, uint32_t class) {
  page *p = tide_container(slab->partial[class].next, page, link);
  if (tide_list_empty(&slab->partial[class]) && (p = add_page(slab, class)) == NULL) return NULL;
  block *b = p->free;
  if (b != NULL) {
    p->free = b->next;
  } else {
    b = (block *)(void *)p->fresh;
    p->fresh += (size_t) class * GRAIN;
  }
  p->used++;
  if (p->free == NULL && !has_fresh(p)) {
    tide_list_remove(&p->link);
    tide_list_append(&slab->full, &p->link);
  }
  return b;
}

static void retire(tide_slab *slab, page *p) {
  tide_list_remove(&p->link);
  if (slab->empty_count >= KEPT_PAGES) {
    block *b = (block *)(void *)p;
    slab->page_count--;
    madvise(p, PAGE_SIZE, MADV_DONTNEED);
    b->next = slab->returned;
    slab->returned = b;
    return;
  }
  tide_list_prepend(&slab->empty, &p->link);
  slab->empty_count++;
}

static void slab_give(tide_slab *slab, void *memory) {
  page *p = page_of(memory);
  block *b = memory;
  if (p->free == NULL && !has_fresh(p)) { /* it was full */
    tide_list_remove(&p->link);
    tide_list_prepend(&slab->partial[p->class], &p->link);
  }
  b->next = p->free;
  p->free = b;
  if (--p->used == 0) retire(slab, p);
}

static void *new_block(tide_slab *slab, size_t size) {
  return size <= LARGEST ? slab_take(slab, class_of(size)) : malloc(size);
}

static void drop_block(tide_slab *slab, void *memory, size_t size) {
  if (size <= LARGEST)
    slab_give(slab, memory);
  else
    free(memory);
}

void *tide_slab_resize(void *context, void *memory, size_t old_size, size_t new_size) {
  tide_slab *slab = context;
  if (memory == NULL) return new_size > 0 ? new_block(slab, new_size) : NULL;
  if (new_size == 0) {
    drop_block(slab, memory, old_size);
    return NULL;
  }
  if (old_size > LARGEST && new_size > LARGEST) return realloc(memory, new_size);
  if (new_size <= LARGEST && class_of(old_size) == class_of(new_size)) return memory;
  void *moved = new_block(slab, new_size);
  if (moved == NULL) return NULL;
  memcpy(moved, memory, old_size < new_size ? old_size : new_size);
  drop_block(slab, memory, old_size);
  return moved;
}
