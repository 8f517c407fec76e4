/* records.c: the records in a message (RFC 1035, 4.1). */
#include "records.h"

#include <arpa/inet.h>

#include "answer.h"

/* Reading: all is gone through twice, first to see how much it is. */

typedef struct reader {
  const tide__cares *cares;
  const unsigned char *bytes;
  int length;
  int type; /* of the records that are wanted */
  bool addresses;
  size_t count, used; /* records so far, bytes of texts */
  void *list;         /* of either kind; NULL: they are only counted */
  char *texts;        /* where they go */
} reader;

/* One record's data, of which each reading takes some. */
typedef struct rdata {
  reader *reader;
  int at, end; /* in the message */
  bool broken; /* it is not as it should be */
  bool short_of_memory;
} rdata;

static unsigned number(const unsigned char *at, int size) {
  unsigned value = 0;
  for (int i = 0; i < size; i++) value = value << 8 | at[i];
  return value;
}

static uint32_t take_number(rdata *self, int size) {
  if (self->end - self->at < size) self->broken = true;
  if (self->broken) return 0;
  self->at += size;
  return number(self->reader->bytes + self->at - size, size);
}

/* Room for a text; NULL where they are only counted. */
static char *take_room(reader *self, size_t size) {
  char *room = self->list != NULL ? self->texts + self->used : NULL;
  self->used += size;
  return room;
}

static const char *put_text(reader *self, const void *bytes, size_t size) {
  char *room = take_room(self, size + 1);
  if (room == NULL) return NULL;
  memcpy(room, bytes, size);
  room[size] = '\0';
  return room;
}

/* Bytes that a name takes where it is in the message, or negative. */
static int expand(reader *self, int at, int end, char **name) {
  long size = 0;
  int status = at < end ? self->cares->ares_expand_name(self->bytes + at, self->bytes, self->length,
                                                        name, &size)
                        : ARES_EBADNAME;
  if (status == ARES_ENOMEM) return -2;
  if (status != ARES_SUCCESS) return -1;
  if (size <= end - at) return (int)size;
  self->cares->ares_free_string(*name);
  return -1;
}

static const char *take_name(rdata *self, size_t *size) {
  char *name;
  int taken = self->broken ? -1 : expand(self->reader, self->at, self->end, &name);
  if (taken == -2) self->short_of_memory = true;
  if (taken < 0) {
    self->broken = true;
    return NULL;
  }
  self->at += taken;
  const char *shown = *name != '\0' ? name : "."; /* the root's */
  *size = strlen(shown);
  const char *text = put_text(self->reader, shown, *size);
  self->reader->cares->ares_free_string(name);
  return text;
}

/* What is left of it. */
static const char *take_rest(rdata *self, size_t *size) {
  if (self->broken) return NULL;
  *size = (size_t)(self->end - self->at);
  const char *text = put_text(self->reader, self->reader->bytes + self->at, *size);
  self->at = self->end;
  return text;
}

/* Strings, each with its size before it, joined (RFC 1035, 3.3). */
static const char *take_strings(rdata *self, size_t *size) {
  char *text = take_room(self->reader, (size_t)(self->end - self->at) + 1);
  *size = 0;
  while (self->at < self->end && !self->broken) {
    int length = (int)take_number(self, 1);
    if (self->end - self->at < length) {
      self->broken = true;
      break;
    }
    if (text != NULL) memcpy(text + *size, self->reader->bytes + self->at, (size_t)length);
    *size += (size_t)length;
    self->at += length;
  }
  if (text != NULL) text[*size] = '\0';
  return text;
}

static const char *take_address(rdata *self, size_t *size) {
  char text[INET6_ADDRSTRLEN];
  bool six = self->reader->type == TIDE_DNS_AAAA;
  if (self->end - self->at != (six ? 16 : 4)) self->broken = true;
  if (self->broken) return NULL;
  inet_ntop(six ? AF_INET6 : AF_INET, self->reader->bytes + self->at, text, sizeof text);
  self->at = self->end;
  *size = strlen(text);
  return put_text(self->reader, text, *size);
}

static const char *take_tag(rdata *self, size_t *size) {
  *size = take_number(self, 1);
  if (self->end - self->at < (int)*size) self->broken = true;
  if (self->broken) return NULL;
  self->at += (int)*size;
  return put_text(self->reader, self->reader->bytes + self->at - *size, *size);
}

static void take_numbers(rdata *self, tide_dns_record *record, int count, int size) {
  for (int i = 0; i < count; i++) record->numbers[i] = take_number(self, size);
}

static void take_record(rdata *self, tide_dns_record *record) {
  switch (self->reader->type) {
  case TIDE_DNS_A:
  case TIDE_DNS_AAAA:
    record->text = take_address(self, &record->size);
    break;
  case TIDE_DNS_MX:
    take_numbers(self, record, 1, 2);
    record->text = take_name(self, &record->size);
    break;
  case TIDE_DNS_SRV:
    take_numbers(self, record, 3, 2);
    record->text = take_name(self, &record->size);
    break;
  case TIDE_DNS_SOA:
    record->text = take_name(self, &record->size);
    record->more = take_name(self, &record->more_size);
    take_numbers(self, record, 5, 4);
    break;
  case TIDE_DNS_CAA:
    take_numbers(self, record, 1, 1);
    record->text = take_tag(self, &record->size);
    record->more = take_rest(self, &record->more_size);
    break;
  case TIDE_DNS_TXT:
    record->text = take_strings(self, &record->size);
    break;
  default: /* NS, CNAME, PTR */
    record->text = take_name(self, &record->size);
  }
}

static void take_socket_address(rdata *self, tide_address *address) {
  const unsigned char *bytes = self->reader->bytes + self->at;
  *address = (tide_address){0};
  if (self->reader->type == TIDE_DNS_A && self->end - self->at == 4) {
    address->as.ipv4.sin_family = AF_INET;
    memcpy(&address->as.ipv4.sin_addr, bytes, 4);
    address->length = sizeof address->as.ipv4;
  } else if (self->reader->type == TIDE_DNS_AAAA && self->end - self->at == 16) {
    address->as.ipv6.sin6_family = AF_INET6;
    memcpy(&address->as.ipv6.sin6_addr, bytes, 16);
    address->length = sizeof address->as.ipv6;
  } else {
    self->broken = true;
  }
  self->at = self->end;
}

/* The data of one that is wanted. */
static tide_dns_code take(reader *self, int at, int end, uint32_t ttl) {
  tide_dns_record record = {.ttl = ttl};
  tide_address address;
  rdata data = {.reader = self, .at = at, .end = end};
  if (self->addresses)
    take_socket_address(&data, &address);
  else
    take_record(&data, &record);
  if (data.short_of_memory) return TIDE_DNS_NOMEM;
  if (data.broken) return TIDE_DNS_FORMERR;
  if (self->list != NULL && self->addresses)
    ((tide_address *)self->list)[self->count] = address;
  else if (self->list != NULL)
    ((tide_dns_record *)self->list)[self->count] = record;
  self->count++;
  return TIDE_DNS_OK;
}

enum { HEADER = 12, FIXED = 10, CLASS_IN = 1 }; /* RFC 1035, 4.1.1, 4.1.3, 3.2.4 */

/* Steps over a name; negative where there is none. */
static int skip_name(reader *self, int at) {
  char *name;
  int taken = expand(self, at, self->length, &name);
  if (taken < 0) return taken;
  self->cares->ares_free_string(name);
  return at + taken;
}

static tide_dns_code go_through(reader *self) {
  unsigned questions = number(self->bytes + 4, 2), answers = number(self->bytes + 6, 2);
  int at = HEADER;
  self->count = self->used = 0;
  while (questions-- > 0) {
    at = skip_name(self, at);
    if (at < 0 || self->length - at < 4) return at == -2 ? TIDE_DNS_NOMEM : TIDE_DNS_FORMERR;
    at += 4;
  }
  while (answers-- > 0) {
    at = skip_name(self, at);
    if (at < 0 || self->length - at < FIXED) return at == -2 ? TIDE_DNS_NOMEM : TIDE_DNS_FORMERR;
    const unsigned char *fixed = self->bytes + at;
    int size = (int)number(fixed + 8, 2);
    at += FIXED;
    if (self->length - at < size) return TIDE_DNS_FORMERR;
    bool wanted = (int)number(fixed, 2) == self->type && number(fixed + 2, 2) == CLASS_IN;
    tide_dns_code code = wanted ? take(self, at, at + size, number(fixed + 4, 4)) : TIDE_DNS_OK;
    if (code != TIDE_DNS_OK) return code;
    at += size;
  }
  return self->count > 0 ? TIDE_DNS_OK : TIDE_DNS_NODATA;
}

tide_dns_code tide__records_read(tide_dns_answer **answer, const tide__cares *cares,
                                 tide_loop *loop, const unsigned char *bytes, int length, int type,
                                 bool addresses) {
  reader self = {
      .cares = cares, .bytes = bytes, .length = length, .type = type, .addresses = addresses};
  if (length < HEADER) return TIDE_DNS_FORMERR;
  tide_dns_code code = go_through(&self);
  if (code != TIDE_DNS_OK) return code;
  size_t each = addresses ? sizeof(tide_address) : sizeof(tide_dns_record);
  tide__answer *block = tide__answer_block(loop, self.count * each + self.used);
  if (block == NULL) return TIDE_DNS_NOMEM;
  self.list = block->start;
  self.texts = (char *)block->start + self.count * each;
  block->answer.count = self.count;
  if (addresses)
    block->answer.addresses = self.list;
  else
    block->answer.records = self.list;
  code = go_through(&self);
  if (code == TIDE_DNS_OK)
    *answer = &block->answer;
  else
    tide_dns_answer_drop(&block->answer);
  return code;
}
