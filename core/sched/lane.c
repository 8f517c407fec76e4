/* lane.c: lists of ready tasks, and which of them there are. */
#include "lane.h"

#include "watchdog.h"

#include "private.h"

void tide__lane_init(tide_lane *lane, tide_loop *loop) {
  *lane = (tide_lane){.loop = loop};
  tide_list_init(&lane->link);
  tide_list_init(&lane->ready);
  tide_list_init(&lane->batch);
  tide_timer_init(&lane->more, NULL);
}

void tide_lane_init(tide_lane *lane, tide_loop *loop) {
  tide__lane_init(lane, loop);
  loop->lanes++;
  loop->rolling = false; /* from now on they take turns */
}

void tide_lane_term(tide_lane *lane) {
  tide_lane_set_slice(lane, NULL);
  tide_timer_stop(&lane->more, lane->loop);
  tide_list_remove(&lane->link);
  lane->loop->lanes--;
}

__attribute__((noinline)) void tide__lane_activate(tide_lane *lane) {
  if (lane->loop->hosted) tide__host_wake(lane->loop);
  tide_list_append(&lane->loop->active, &lane->link);
}

void tide_lane_set_seed(tide_lane *lane, uint64_t seed) { lane->seed = seed; }

uint64_t tide_lane_seed(const tide_lane *lane) { return lane->seed; }

tide_lane *tide_loop_own_lane(tide_loop *loop) { return &loop->own; }

bool tide__lane_has_tasks(const tide_lane *lane) {
  return !tide_list_empty(&lane->batch) || !tide_list_empty(&lane->ready);
}

bool tide__lanes_ready(const tide_loop *loop) {
  if (loop->lane != NULL && tide__lane_has_tasks(loop->lane)) return true;
  const tide_list *link = loop->active.next;
  while (link != &loop->active && !tide__lane_has_tasks(tide_container(link, tide_lane, link)))
    link = link->next; /* its tasks were detached */
  return link != &loop->active;
}

static size_t count_of(const tide_lane *lane) {
  return tide_list_length(&lane->batch) + tide_list_length(&lane->ready);
}

uint32_t tide__ready_count(const tide_loop *loop) {
  bool apart = loop->lane != NULL && tide_list_empty(&loop->lane->link);
  size_t count = apart ? count_of(loop->lane) : 0;
  for (const tide_list *link = loop->active.next; link != &loop->active; link = link->next)
    count += count_of(tide_container(link, tide_lane, link));
  return (uint32_t)count;
}

static bool only_yielded(const tide_list *tasks) {
  const tide_list *link = tasks->next;
  while (link != tasks && tide__task_yielded(tide_container(link, tide_task, wait.in.link)))
    link = link->next;
  return link == tasks;
}

bool tide__lanes_only_yielded(const tide_loop *loop) {
  for (const tide_list *link = loop->active.next; link != &loop->active; link = link->next) {
    const tide_lane *lane = tide_container(link, tide_lane, link);
    if (!only_yielded(&lane->batch) || !only_yielded(&lane->ready)) return false;
  }
  return true;
}
