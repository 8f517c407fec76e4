/* stream.c: the life of a stream. */
#include "stream.h"

#include "linger.h"
#include "recall.h"
#include "sys.h"

_Static_assert(sizeof(tide_stream) <= 200, "idle connections should be cheap");

void tide_stream_init(tide_stream *stream, tide_loop *loop, int fd) {
  *stream = (tide_stream){
      .low_mark = TIDE__LOW_MARK,
      .high_mark = TIDE__HIGH_MARK,
      .drained = true,
  };
  tide_fd_init(&stream->fd, loop, fd);
}

int tide_stream_pair(tide_stream *one, tide_stream *other, tide_loop *loop) {
  int fds[2];
  int error = tide__sys_socketpair(loop, fds);
  if (error < 0) return TIDE_OS(-error);
  tide_stream_init(one, loop, fds[0]);
  tide_stream_init(other, loop, fds[1]);
  return TIDE_OK;
}

tide_stream *tide__stream_of(const tide_wait *wait) {
  return tide_container(wait->source, tide_stream, fd);
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

void tide_stream_close(tide_stream *stream) {
  if (tide_stream_closed(stream)) return;
  tide_loop *loop = stream->fd.loop;
  int fd = stream->fd.fd;
  tide__stream_end_turns(stream);
  tide__outbox *outbox = take_output(stream);
  tide_fd_term(&stream->fd);
  tide__recall_close(&stream->reader);
  tide_stream_done(stream);
  tide_buffer_term(&stream->input, &loop->allocator);
  if (outbox != NULL)
    tide__linger(loop, fd, outbox);
  else if (is_torn(stream))
    tide__sys_abort(fd);
  else if (stream->channel != TIDE__SOCKET_CHANNEL || stream->read_error != TIDE_OK ||
           stream->write_error != TIDE_OK)
    tide__sys_close(fd);
  else
    tide__part(loop, fd, stream->wrote);
}

void tide_stream_done(const tide_stream *stream) { tide__scratch_back(stream->fd.loop, stream); }

void tide_stream_set_marks(tide_stream *stream, uint32_t low, uint32_t high) {
  stream->low_mark = low;
  stream->high_mark = high;
}

static int address_of(const tide_stream *stream, int (*ask)(const tide_loop *, int, tide_address *),
                      tide_address *address) {
  if (tide_stream_closed(stream)) return TIDE_ECLOSED;
  int error = ask(stream->fd.loop, stream->fd.fd, address);
  return error < 0 ? TIDE_OS(-error) : TIDE_OK;
}

int tide_stream_local_address(const tide_stream *stream, tide_address *address) {
  return address_of(stream, tide__sys_local_address, address);
}

int tide_stream_peer_address(const tide_stream *stream, tide_address *address) {
  return address_of(stream, tide__sys_peer_address, address);
}
