/* bound.c: binding sockets, and the files that unix ones leave. */
#include "bound.h"

#include <errno.h>
#include <sys/socket.h>

static const char *path_of(const tide_address *address) {
  return tide_address_is_unix(address) ? address->as.local.sun_path : "";
}

/* Whether the path names a socket that nobody has. */
static bool left_behind(const tide_loop *loop, const tide_address *address, int type) {
  uint64_t file[2] = {0, 0};
  if (tide__sys_socket_file(loop, path_of(address), file) < 0) return false;
  int fd = tide__sys_socket(loop, AF_UNIX, type);
  if (fd < 0) return false;
  int error = tide__sys_connect(loop, fd, address);
  tide__sys_close(fd);
  return error == -ECONNREFUSED;
}

static int bind_to(const tide_loop *loop, int fd, const tide_address *address, int type) {
  int error = tide__sys_bind(loop, fd, address);
  if (error != -EADDRINUSE || path_of(address)[0] == '\0' || !left_behind(loop, address, type))
    return error;
  tide__sys_unlink(loop, path_of(address));
  return tide__sys_bind(loop, fd, address);
}

int tide__bound_bind(const tide_loop *loop, int fd, const tide_address *address, int type,
                     uint64_t file[2]) {
  file[0] = file[1] = 0;
  int error = bind_to(loop, fd, address, type);
  if (error == 0 && path_of(address)[0] != '\0')
    tide__sys_socket_file(loop, path_of(address), file);
  return error;
}

void tide__bound_remove(const tide_loop *loop, int fd, const uint64_t file[2]) {
  tide_address address;
  uint64_t now[2] = {0, 0};
  if (file[1] != 0 && tide__sys_local_address(loop, fd, &address) == 0 &&
      tide__sys_socket_file(loop, path_of(&address), now) == 0 && now[0] == file[0] &&
      now[1] == file[1])
    tide__sys_unlink(loop, path_of(&address));
}
