/* resolver.c: the system's name servers: read by c-ares, and again when the file has changed. */
#include "resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys.h"

static const char *path_of(const tide__resolver *self) {
  return self->path != NULL ? self->path : "/etc/resolv.conf";
}

/* Questions that are under way, about which nobody wants to know, end with their servers. */
static void names_free(tide__names *self) {
  tide__resolver *resolver = self->resolver;
  const tide_allocator *a = &resolver->loop->allocator;
  self->refs++; /* theirs go meanwhile */
  for (int i = 0; i < self->count; i++) tide__server_free(self->servers[i]);
  tide_free(a, self->servers, (size_t)self->count * sizeof(void *));
  resolver->cares.ares_destroy_options(&self->options);
  if (self->system != NULL) resolver->cares.ares_destroy(self->system);
  tide_list_remove(&self->link);
  tide_free(a, self, sizeof *self);
}

static void free_unused(tide_defer *defer) {
  tide__resolver *self = tide_container(defer, tide__resolver, free_unused);
  for (tide_list *link = self->all.next, *next; link != &self->all; link = next) {
    tide__names *names = tide_container(link, tide__names, link);
    next = link->next;
    if (names->refs == 0) names_free(names);
  }
}

tide__names *tide__names_ref(tide__names *names) {
  names->refs++;
  return names;
}

/* Perhaps inside an answer of its own servers: those are freed at the end of the turn. */
void tide__names_unref(tide__names *names) {
  if (names != NULL && --names->refs == 0)
    tide_defer_start(&names->resolver->free_unused, names->resolver->loop);
}

/* Reading it. */

static int make_servers(tide__names *self, const struct ares_addr_port_node *list, int timeout) {
  tide_loop *loop = self->resolver->loop;
  int count = 0;
  for (const struct ares_addr_port_node *at = list; at != NULL; at = at->next) count++;
  self->servers = tide_alloc(&loop->allocator, (size_t)count * sizeof(void *));
  if (self->servers == NULL) return TIDE_ENOMEM;
  memset(self->servers, 0, (size_t)count * sizeof(void *));
  self->count = count;
  int error = TIDE_OK;
  for (int i = 0; i < count && error == TIDE_OK; i++, list = list->next)
    error = tide__server_new(&self->servers[i], &self->resolver->cares, loop, list, timeout);
  return error;
}

enum {
  SERVERS_MOST = 16,
  TRIES = 2,
  TRIES_MOST = 5,
  TIMEOUT = 5,
  TIMEOUT_MOST = 30
}; /* resolv.conf(5); seconds */

/* The number behind `name` in a list of options, or `value`. */
static int find_option(const char *options, const char *name, int value, int most) {
  for (const char *at = options; (at = strstr(at, name)) != NULL; at++) {
    if (at[-1] != ' ' && at[-1] != '\t') continue;
    long number = strtol(at + strlen(name), NULL, 10);
    return number < 1 ? 1 : number > most ? most : (int)number;
  }
  return value;
}

/* What c-ares before 1.21 does not read: two options, and the ports of "[address]:port", which is
 * OpenBSD's resolv.conf(5). */
typedef struct details {
  int tries, timeout;
  int ports[SERVERS_MOST]; /* of name servers in order; 0: none is said */
  int count;
} details;

static const char *begins_with(const char *line, const char *word) {
  size_t size = strlen(word);
  return strncmp(line, word, size) == 0 ? line + size : NULL;
}

static void read_line(details *self, const char *line) {
  const char *options = begins_with(line, "options"), *server = begins_with(line, "nameserver");
  if (options != NULL) {
    self->tries = find_option(options, "attempts:", self->tries, TRIES_MOST);
    self->timeout = find_option(options, "timeout:", self->timeout, TIMEOUT_MOST);
  }
  if (server == NULL || self->count == SERVERS_MOST) return;
  const char *port = strstr(server, "]:");
  self->ports[self->count++] = port != NULL ? (uint16_t)strtol(port + 2, NULL, 10) : 0;
}

static details read_details(const char *path) {
  details self = {.tries = TRIES, .timeout = TIMEOUT};
  char line[512];
  FILE *file = fopen(path, "re");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) read_line(&self, line);
  if (file != NULL) fclose(file);
  return self;
}

static int load(tide__names *self) {
  const tide__cares *cares = &self->resolver->cares;
  struct ares_options options = {.resolvconf_path = (char *)(uintptr_t)path_of(self->resolver)};
  struct ares_addr_port_node *list = NULL;
  details said = read_details(path_of(self->resolver));
  int mask = 0, at = 0;
  int status = cares->ares_init_options(&self->system, &options, ARES_OPT_RESOLVCONF);
  if (status == ARES_SUCCESS)
    status = cares->ares_save_options(self->system, &self->options, &mask);
  if (status == ARES_SUCCESS) status = cares->ares_get_servers_ports(self->system, &list);
  if (status != ARES_SUCCESS) return TIDE_ENOMEM;
  for (struct ares_addr_port_node *one = list; one != NULL && at < said.count; one = one->next)
    one->udp_port = one->tcp_port = said.ports[at++];
  self->tries = said.tries;
  self->ndots = self->options.ndots;
  self->domains = self->options.domains;
  self->domain_count = self->options.ndomains;
  self->rotates = (mask & ARES_OPT_ROTATE) != 0;
  self->timeout = (tide_time)said.timeout * 1000000000;
  int error = make_servers(self, list, said.timeout * 1000);
  cares->ares_free_data(list);
  return error;
}

static tide__names *names_new(tide__resolver *resolver) {
  tide__names *self = tide_alloc(&resolver->loop->allocator, sizeof *self);
  if (self == NULL) return NULL;
  *self = (tide__names){.resolver = resolver, .refs = 1};
  tide_list_append(&resolver->all, &self->link);
  if (load(self) == TIDE_OK) return self;
  names_free(self);
  return NULL;
}

static bool is_same_file(const struct stat *one, const struct stat *other) {
  return one->st_ino == other->st_ino && one->st_dev == other->st_dev &&
         one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
         one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

int tide__names_of(tide__names **names, tide__resolver *resolver) {
  struct stat file = {0};
  tide__sys_stat(resolver->loop, path_of(resolver), &file);
  if (resolver->names == NULL || !is_same_file(&file, &resolver->file)) {
    tide__names *fresh = names_new(resolver);
    if (fresh == NULL) return TIDE_ENOMEM;
    tide__names_unref(resolver->names);
    resolver->names = fresh;
    resolver->file = file;
  }
  *names = tide__names_ref(resolver->names);
  return TIDE_OK;
}

static void free_path(tide__resolver *self) {
  if (self->path != NULL) tide_free(&self->loop->allocator, self->path, strlen(self->path) + 1);
  self->path = NULL;
}

int tide__resolver_set_file(tide__resolver *self, const char *path) {
  size_t size = path != NULL ? strlen(path) + 1 : 0;
  char *own = size > 0 ? tide_alloc(&self->loop->allocator, size) : NULL;
  if (size > 0 && own == NULL) return TIDE_ENOMEM;
  if (size > 0) memcpy(own, path, size);
  free_path(self);
  self->path = own;
  tide__names_unref(self->names);
  self->names = NULL;
  return TIDE_OK;
}

/* The loop's. What was under way is dropped by dns.c before. */

static void term(tide__attachment *attachment, tide_loop *loop) {
  tide__resolver *self = tide_container(attachment, tide__resolver, attachment);
  tide__lookups_drop(self);
  while (!tide_list_empty(&self->all))
    names_free(tide_container(self->all.next, tide__names, link));
  tide_defer_cancel(&self->free_unused);
  free_path(self);
  tide__cares_close(&self->cares);
  tide_free(&loop->allocator, self, sizeof *self);
}

int tide__resolver_of(tide__resolver **resolver, tide_loop *loop) {
  tide__attachment *found = tide__attachment_find(loop, term);
  if (found != NULL) {
    *resolver = tide_container(found, tide__resolver, attachment);
    return TIDE_OK;
  }
  tide__resolver *self = tide_alloc(&loop->allocator, sizeof *self);
  if (self == NULL) return TIDE_ENOMEM;
  *self = (tide__resolver){.attachment.term = term, .loop = loop};
  int error = tide__cares_open(&self->cares);
  if (error != TIDE_OK) {
    tide_free(&loop->allocator, self, sizeof *self);
    return error;
  }
  tide_list_init(&self->all);
  tide_list_init(&self->lookups);
  tide_defer_init(&self->free_unused, free_unused);
  tide_list_append(&loop->attachments, &self->attachment.link);
  *resolver = self;
  return TIDE_OK;
}
