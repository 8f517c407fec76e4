# Finds libev, which comes with neither a pkg-config file nor a CMake package.
# Defines the target Libev::Libev; LIBEV_INCLUDE_DIR and LIBEV_LIBRARY say where to look.
find_path(LIBEV_INCLUDE_DIR ev.h)
find_library(LIBEV_LIBRARY ev)
mark_as_advanced(LIBEV_INCLUDE_DIR LIBEV_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libev REQUIRED_VARS LIBEV_LIBRARY LIBEV_INCLUDE_DIR)

# core/sched/loop.c reads the descriptor of a libev loop from an embed watcher of another one, where ev.h
# lays it open but no page promises it: whether that is so is tried here, where programs can be run.
if(Libev_FOUND AND NOT CMAKE_CROSSCOMPILING AND NOT DEFINED LIBEV_TELLS_ITS_DESCRIPTOR)
  include(CheckCSourceRuns)
  set(CMAKE_REQUIRED_INCLUDES ${LIBEV_INCLUDE_DIR})
  set(CMAKE_REQUIRED_LIBRARIES ${LIBEV_LIBRARY} m)
  check_c_source_runs([[
#include <ev.h>
#include <poll.h>
#include <unistd.h>
static void ignore(struct ev_loop *ev, ev_io *io, int events) { (void)ev, (void)io, (void)events; }
static void sweep(struct ev_loop *ev, ev_embed *embed, int events) { (void)ev, (void)embed, (void)events; }
int main(void) {
  struct ev_loop *inner = ev_loop_new(EVFLAG_NOENV), *outer = ev_loop_new(EVBACKEND_SELECT | EVFLAG_NOENV);
  struct ev_io io;
  ev_embed embed;
  int pipes[2];
  if (!inner || !outer || pipe(pipes) != 0) return 1;
  if (!(ev_backend(inner) & ev_embeddable_backends())) return 0;
  ev_embed_init(&embed, sweep, inner);
  ev_embed_start(outer, &embed);
  struct pollfd polled = {embed.io.fd, POLLIN, 0};
  ev_embed_stop(outer, &embed);
  ev_io_init(&io, ignore, pipes[0], EV_READ);
  ev_io_start(inner, &io);
  ev_run(inner, EVRUN_NOWAIT);
  if (poll(&polled, 1, 0) != 0) return 2;
  if (write(pipes[1], "x", 1) != 1) return 3;
  return poll(&polled, 1, 1000) == 1 && polled.revents == POLLIN ? 0 : 4;
}
]] LIBEV_TELLS_ITS_DESCRIPTOR)
  unset(CMAKE_REQUIRED_INCLUDES)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(NOT LIBEV_TELLS_ITS_DESCRIPTOR)
    message(FATAL_ERROR "This libev does not tell its descriptor as libev 4.33 does: tide_loop_fd would not work")
  endif()
endif()

if(Libev_FOUND AND NOT TARGET Libev::Libev)
  add_library(Libev::Libev UNKNOWN IMPORTED)
  set_target_properties(Libev::Libev PROPERTIES
    IMPORTED_LOCATION ${LIBEV_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${LIBEV_INCLUDE_DIR})
endif()
