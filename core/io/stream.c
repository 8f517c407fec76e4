/* stream.c: the life of a stream. */
#include "stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "descriptor.h"
#include "halves.h"
#include "linger.h"
#include "recall.h"
#include "sys.h"

_Static_assert(sizeof(tide_stream) <= 224, "idle connections should be cheap");

int tide__transport_write_on(tide_transport *self, const struct iovec *parts, size_t total,
                             size_t *sent) {
  for (size_t at = *sent, taken; *sent < total; *sent += taken, at += taken) {
    for (; at >= parts->iov_len; parts++) at -= parts->iov_len;
    struct iovec rest = {(char *)parts->iov_base + at, parts->iov_len - at};
    int result = tide__transport_write_once(self, &rest, 1, rest.iov_len, &taken);
    if (result != TIDE_OK) return result == TIDE_PENDING ? TIDE_OK : result;
  }
  return TIDE_OK;
}

void tide_transport_wake(tide_wait **place, int outcome) {
  tide_wait *wait = *place;
  *place = NULL;
  if (wait == NULL) return;
  if (outcome == TIDE_OK)
    tide__wait_end(wait, outcome);
  else
    tide__wait_break(wait, outcome);
}

void tide_stream_init_on(tide_stream *stream, tide_loop *loop, tide_transport *transport) {
  *stream = (tide_stream){
      .transport = transport,
      .low_mark = TIDE__LOW_MARK,
      .high_mark = TIDE__HIGH_MARK,
  };
  tide__descriptor_init(&stream->own, loop, -1);
}

void tide_stream_init(tide_stream *stream, tide_loop *loop, int fd) {
  tide_stream_init_on(stream, loop, NULL);
  if (fd < 0) return;
  tide__descriptor_init(&stream->own, loop, fd);
  stream->transport = &stream->own.transport;
}

int tide_stream_pair(tide_stream *one, tide_stream *other, tide_loop *loop) {
  int fds[2];
  int error = tide__sys_socketpair(loop, fds);
  if (error < 0) return TIDE_OS(-error);
  tide_stream_init(one, loop, fds[0]);
  tide_stream_init(other, loop, fds[1]);
  return TIDE_OK;
}

/* The outbox, out of the descriptor, or NULL. */
static tide__outbox *take_output(tide_stream *stream) {
  tide__outbox *outbox = stream->output;
  if (outbox == NULL) return NULL;
  tide__outbox_stop(outbox);
  stream->output = NULL;
  return outbox;
}

/* Part of a write is with the system, and the rest has nowhere to be. */
static bool is_torn(const tide_stream *stream) { return stream->write_error == TIDE_ENOMEM; }

/* Takes the transport away from the stream, whose memory may go: what lies in that moves to `room`.
 */
static tide_transport *take_transport(tide_stream *stream, tide_descriptor *room) {
  tide_transport *transport = stream->transport;
  transport->ops->withdraw(transport);
  stream->transport = NULL;
  return tide__transport_move(transport, room);
}

void tide_stream_close(tide_stream *stream) {
  tide_descriptor room;
  if (tide_stream_closed(stream)) return;
  tide_loop *loop = tide__loop_of(stream);
  tide__stream_end_turns(stream);
  tide__outbox *outbox = take_output(stream);
  tide_transport *transport = take_transport(stream, &room);
  tide__recall_close(&stream->reader);
  tide_stream_done(stream);
  tide_buffer_term(&stream->input, &loop->allocator);
  bool over = stream->read_error != TIDE_OK || stream->write_error != TIDE_OK;
  if (outbox != NULL)
    tide__linger(transport, outbox);
  else if (is_torn(stream) || (over && !transport->ops->tells))
    transport->ops->close(transport, is_torn(stream));
  else
    tide__part(loop, transport, stream->wrote);
}

void tide_stream_done(const tide_stream *stream) {
  tide__scratch_back(tide__loop_of(stream), stream);
}

void tide_stream_set_marks(tide_stream *stream, uint32_t low, uint32_t high) {
  stream->low_mark = low;
  stream->high_mark = high;
}

/* The descriptor underneath. TIDE_OK or an error. */
static int find_descriptor(const tide_stream *stream, const tide_descriptor **descriptor) {
  if (tide_stream_closed(stream)) return TIDE_ECLOSED;
  *descriptor = tide__transport_descriptor(stream->transport);
  return *descriptor != NULL ? TIDE_OK : TIDE_OS(ENOTSOCK);
}

static int set_option(const tide_stream *stream, int level, int name, int value) {
  const tide_descriptor *descriptor;
  int error = find_descriptor(stream, &descriptor);
  if (error != TIDE_OK) return error;
  int set = tide__sys_set_option(descriptor->fd.loop, descriptor->fd.fd, level, name, value);
  return set < 0 ? TIDE_OS(-set) : TIDE_OK;
}

int tide_stream_set_nodelay(const tide_stream *stream, bool on) {
  return set_option(stream, IPPROTO_TCP, TCP_NODELAY, on);
}

int tide_stream_set_keepalive(const tide_stream *stream, unsigned seconds) {
  int error = TIDE_OK;
  if (seconds > 0) error = set_option(stream, IPPROTO_TCP, TCP_KEEPIDLE, (int)seconds);
  if (seconds > 0 && error == TIDE_OK)
    error = set_option(stream, IPPROTO_TCP, TCP_KEEPINTVL, (int)seconds);
  return error == TIDE_OK ? set_option(stream, SOL_SOCKET, SO_KEEPALIVE, seconds > 0) : error;
}

static int address_of(const tide_stream *stream, int (*ask)(const tide_loop *, int, tide_address *),
                      tide_address *address) {
  const tide_descriptor *descriptor;
  int error = find_descriptor(stream, &descriptor);
  if (error != TIDE_OK) return error;
  error = ask(descriptor->fd.loop, descriptor->fd.fd, address);
  return error < 0 ? TIDE_OS(-error) : TIDE_OK;
}

int tide_stream_local_address(const tide_stream *stream, tide_address *address) {
  return address_of(stream, tide__sys_local_address, address);
}

int tide_stream_peer_address(const tide_stream *stream, tide_address *address) {
  return address_of(stream, tide__sys_peer_address, address);
}
