/* memory.c: a transport of memory: two ends in one block, each with a ring of bytes that come to
 * it.
 *
 * What one end does may end a wait of the other: that is always the last thing it does, for who is
 * told may close that end, and free the block with it. */
#include <errno.h>
#include <string.h>

#include "private.h"
#include "stream.h"

typedef struct end {
  tide_transport transport; /* first */
  struct memory *memory;    /* both ends */
  struct end *peer;         /* the other one */
  char *ring;               /* what comes to this one: room for memory->capacity bytes */
  size_t first, count;      /* where the first of them is, and how many there are */
  tide_wait *reader;        /* waits until there are some, or NULL */
  tide_wait *writer;        /* waits until the other end's ring has room, or NULL */
  bool ended;               /* it writes no more */
  bool closed;              /* nor does it read */
  bool reset;               /* it was closed before all was sent */
} end;

typedef struct memory {
  end ends[2];
  tide_loop *loop; /* whose memory, and whose faults */
  size_t capacity; /* of each ring; they are behind this struct */
} memory;

static end *end_of(const tide_transport *transport) {
  return tide_container(transport, end, transport);
}

static void wake(tide_wait **place) { tide_transport_wake(place, TIDE_OK); }

/* Whether the call fails on demand. */
static int fault_of(const end *self, tide_call call) {
  tide_faults *faults = self->memory->loop->faults;
  return faults != NULL && tide_faults_strike(faults, call) ? TIDE_OS(errno) : TIDE_OK;
}

static size_t cut(const end *self, size_t size) {
  const tide_faults *faults = self->memory->loop->faults;
  return faults != NULL ? tide_faults_cut(faults, size) : size;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Takes so many bytes, of which there are as many, out of the ring. */
static void ring_take(end *self, char *to, size_t size) {
  size_t straight = least(size, self->memory->capacity - self->first);
  memcpy(to, self->ring + self->first, straight);
  memcpy(to + straight, self->ring, size - straight);
  self->first = (self->first + size) % self->memory->capacity;
  self->count -= size;
}

static void ring_put(end *self, const char *from, size_t size) {
  size_t capacity = self->memory->capacity, at = (self->first + self->count) % capacity;
  size_t straight = least(size, capacity - at);
  memcpy(self->ring + at, from, straight);
  memcpy(self->ring, from + straight, size - straight);
  self->count += size;
}

static int memory_read(tide_transport *transport, void *buffer, size_t size, size_t *got) {
  end *self = end_of(transport), *peer = self->peer;
  int error = fault_of(self, TIDE_CALL_READ);
  if (error != TIDE_OK) return error == TIDE_OS(EAGAIN) ? TIDE_PENDING : error;
  if (self->count == 0 && peer->reset) return TIDE_OS(ECONNRESET);
  if (self->count == 0) return peer->ended ? TIDE_EEOF : TIDE_PENDING;
  *got = least(cut(self, size), self->count);
  ring_take(self, buffer, *got);
  wake(&peer->writer);
  return TIDE_OK;
}

static int memory_write(tide_transport *transport, const struct iovec *parts, size_t count,
                        size_t *sent) {
  end *self = end_of(transport), *peer = self->peer;
  int error = fault_of(self, TIDE_CALL_WRITE);
  if (error != TIDE_OK) return error == TIDE_OS(EAGAIN) ? TIDE_PENDING : error;
  if (peer->closed || self->ended) return TIDE_OS(EPIPE);
  size_t room = cut(self, self->memory->capacity - peer->count), total = 0;
  for (size_t i = 0; i < count && room > 0; i++) {
    size_t size = least(parts[i].iov_len, room);
    if (size > 0) ring_put(peer, parts[i].iov_base, size);
    total += size;
    room -= size;
  }
  *sent = total;
  if (total == 0) return room > 0 ? TIDE_OK : TIDE_PENDING;
  wake(&peer->reader);
  return TIDE_OK;
}

static int memory_wait(tide_transport *transport, tide_wait *wait, int events) {
  end *self = end_of(transport);
  tide_wait **place = events & TIDE_READABLE ? &self->reader : &self->writer;
  if (*place != NULL) return TIDE_EBUSY;
  *place = wait;
  return TIDE_OK;
}

static bool memory_waited(const tide_transport *transport, int events) {
  const end *self = end_of(transport);
  return (events & TIDE_READABLE ? self->reader : self->writer) != NULL;
}

static void memory_leave(tide_transport *transport, tide_wait *wait) {
  end *self = end_of(transport);
  if (self->reader == wait) self->reader = NULL;
  if (self->writer == wait) self->writer = NULL;
}

static int memory_end(tide_transport *transport, bool both) {
  end *self = end_of(transport);
  (void)both;
  int error = fault_of(self, TIDE_CALL_SHUTDOWN);
  if (error != TIDE_OK) return error;
  self->ended = true;
  wake(&self->peer->reader);
  return TIDE_OK;
}

static tide_farewell memory_farewell(const tide_transport *transport) {
  (void)transport;
  return TIDE_FAREWELL_NONE;
}

static size_t memory_untaken(const tide_transport *transport) {
  return end_of(transport)->peer->count;
}

static void memory_withdraw(tide_transport *transport) {
  end *self = end_of(transport);
  tide_transport_wake(&self->reader, TIDE_ECLOSED);
  tide_transport_wake(&self->writer, TIDE_ECLOSED);
}

static size_t size_of(size_t capacity) { return sizeof(memory) + 2 * capacity; }

static void memory_close(tide_transport *transport, bool reset) {
  end *self = end_of(transport), *peer = self->peer;
  memory *both = self->memory;
  self->closed = self->ended = true;
  self->reset = reset;
  if (peer->closed) {
    tide_free(&both->loop->allocator, both, size_of(both->capacity));
    return;
  }
  tide_wait *writer = peer->writer; /* who is told first may free all this */
  peer->writer = NULL;
  wake(&peer->reader);
  wake(&writer);
}

static const tide_transport_ops memory_ops = {
    .name = "memory",
    .read = memory_read,
    .write = memory_write,
    .wait = memory_wait,
    .waited = memory_waited,
    .leave = memory_leave,
    .end = memory_end,
    .farewell = memory_farewell,
    .untaken = memory_untaken,
    .withdraw = memory_withdraw,
    .close = memory_close,
};

static void end_init(memory *both, int i) {
  char *rings = (char *)(both + 1);
  both->ends[i] = (end){
      .transport.ops = &memory_ops,
      .memory = both,
      .peer = &both->ends[1 - i],
      .ring = rings + (size_t)i * both->capacity,
  };
}

int tide_stream_memory_pair(tide_stream *one, tide_stream *other, tide_loop *loop,
                            size_t capacity) {
  if (capacity > SIZE_MAX / 4) return TIDE_ENOMEM;
  if (capacity == 0) capacity = 1;
  memory *both = tide_alloc(&loop->allocator, size_of(capacity));
  if (both == NULL) return TIDE_ENOMEM;
  both->loop = loop;
  both->capacity = capacity;
  end_init(both, 0);
  end_init(both, 1);
  tide_stream_init_on(one, loop, &both->ends[0].transport);
  tide_stream_init_on(other, loop, &both->ends[1].transport);
  return TIDE_OK;
}
