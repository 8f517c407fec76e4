/* io.h: scripts that call streams, and worlds that count their descriptors. */
#ifndef TIDE_SPEC_IO_H
#define TIDE_SPEC_IO_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../core/io/private.h"
#include "script.h"

static inline int count_descriptors(void) {
  DIR *directory = opendir("/proc/self/fd");
  CHECK(directory != NULL);
  int count = 0;
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count;
}

static int descriptors_before;

/* A world, and at its end no descriptor more than there was. */
static inline void io_open(world *w) {
  descriptors_before = count_descriptors();
  world_open(w);
}

static inline void io_close(world *w) {
  world_close(w);
  CHECK_EQ(count_descriptors(), descriptors_before);
}

enum { SMALL_BUFFER = 50000 }; /* bytes: TCP's buffers may else hold megabytes */

/* Two ends of a TCP connection, one sends and the other receives by way of a small buffer. */
static inline void open_tcp_sockets(int pair[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_EQ(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &(int){SMALL_BUFFER}, sizeof(int));
  CHECK_EQ(listen(listener, 1), 0);
  CHECK_EQ(getsockname(listener, (struct sockaddr *)&address, &length), 0);
  pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(pair[1], SOL_SOCKET, SO_RCVBUF, &(int){SMALL_BUFFER}, sizeof(int));
  CHECK_EQ(connect(pair[1], (struct sockaddr *)&address, sizeof address), 0);
  CHECK_EQ(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
  pair[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  close(listener);
}

/* Sends text past the stream's buffers. */
static inline void raw_send(const tide_stream *stream, const char *text) {
  CHECK_EQ(send(stream->own.fd.fd, text, strlen(text), MSG_NOSIGNAL), (long long)strlen(text));
}

/* Closes the descriptor as it is. */
static inline void raw_close(tide_stream *stream) {
  int fd = stream->own.fd.fd;
  tide_fd_term(&stream->own.fd);
  stream->transport = NULL;
  close(fd);
}

/* What a slice holds, as a string until the next call. */
static inline const char *text_of(tide_slice slice) {
  static char text[512];
  CHECK(slice.length < sizeof text);
  memcpy(text, slice.data, slice.length);
  text[slice.length] = '\0';
  return text;
}

static inline tide_slice slice_of(const char *text) {
  return (tide_slice){.data = text, .length = strlen(text)};
}

/* A byte of an endless pattern in which no stretch repeats soon. */
static inline char pattern(size_t at) { return (char)(at * 31 + at / 251); }

static inline char *patterned(size_t from, size_t size) {
  char *bytes = malloc(size);
  for (size_t i = 0; i < size; i++) bytes[i] = pattern(from + i);
  return bytes;
}

static inline void check_pattern(const char *bytes, size_t from, size_t size) {
  for (size_t i = 0; i < size; i++) CHECK_EQ(bytes[i], pattern(from + i));
}

#endif
