/* alarm.c: a timerfd among the descriptors that the loop watches. */
#include "alarm.h"

#include "private.h"

#include <sys/timerfd.h>
#include <unistd.h>

static void rang(tide_watcher *watcher, int events) {
  tide__alarm *alarm = tide_container(watcher, tide__alarm, watcher);
  uint64_t times;
  (void)events;
  if (read(alarm->fd, &times, sizeof times) > 0) alarm->armed = 0;
}

bool tide__alarm_init(tide__alarm *alarm, tide_loop *loop) {
  alarm->armed = 0;
  alarm->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (alarm->fd < 0) return false;
  alarm->port = loop->port = tide__port_make(loop, alarm->fd);
  if (alarm->port == NULL) {
    close(alarm->fd);
    return false;
  }
  tide_watcher_init(&alarm->watcher, alarm->fd, rang);
  tide__watcher_set(&alarm->watcher, loop, TIDE_READABLE);
  return true;
}

void tide__alarm_term(tide__alarm *alarm, tide_loop *loop) {
  tide__watcher_set(&alarm->watcher, loop, 0);
}

void tide__alarm_set(tide__alarm *alarm, tide_time when) {
  if (alarm->armed != 0 && alarm->armed <= when) return;
  struct itimerspec at = {
      .it_value = {.tv_sec = (time_t)(when / 1000000000u), .tv_nsec = (long)(when % 1000000000u)}};
  if (timerfd_settime(alarm->fd, TFD_TIMER_ABSTIME, &at, NULL) == 0) alarm->armed = when;
  tide__port_ring_again(alarm->port);
}
