/* parts.h: what the module is made of: each adds its names to the table on top. */
#ifndef TL_PARTS_H
#define TL_PARTS_H

#include <lua.h>

typedef struct tl_runtime tl_runtime;

void tl_barrier_open(lua_State *L, tl_runtime *rt);
void tl_callback_open(lua_State *L, tl_runtime *rt);
void tl_channel_open(lua_State *L, tl_runtime *rt);
void tl_class_open(lua_State *L, tl_runtime *rt);
void tl_condition_open(lua_State *L, tl_runtime *rt);
void tl_coroutine_open(lua_State *L, tl_runtime *rt);
void tl_datagram_open(lua_State *L, tl_runtime *rt);
void tl_debug_open(lua_State *L, tl_runtime *rt);
void tl_dns_open(lua_State *L, tl_runtime *rt);
void tl_error_open(lua_State *L, tl_runtime *rt);
void tl_event_open(lua_State *L, tl_runtime *rt);
void tl_exit_open(lua_State *L, tl_runtime *rt);
void tl_fd_open(lua_State *L, tl_runtime *rt);
void tl_frame_open(lua_State *L, tl_runtime *rt);
void tl_future_open(lua_State *L, tl_runtime *rt);
void tl_generator_open(lua_State *L, tl_runtime *rt);
void tl_greenlet_open(lua_State *L, tl_runtime *rt);
void tl_group_open(lua_State *L, tl_runtime *rt);
void tl_handle_open(lua_State *L, tl_runtime *rt);
void tl_iter_open(lua_State *L, tl_runtime *rt);
void tl_join_open(lua_State *L, tl_runtime *rt);
void tl_listener_open(lua_State *L, tl_runtime *rt);
void tl_local_open(lua_State *L, tl_runtime *rt);
void tl_lock_open(lua_State *L, tl_runtime *rt);
void tl_lua_iter_open(lua_State *L, tl_runtime *rt);
void tl_net_open(lua_State *L, tl_runtime *rt);
void tl_options_open(lua_State *L, tl_runtime *rt);
void tl_owner_open(lua_State *L, tl_runtime *rt);
void tl_protect_open(lua_State *L, tl_runtime *rt);
void tl_queue_open(lua_State *L, tl_runtime *rt);
void tl_receipt_open(lua_State *L, tl_runtime *rt);
void tl_report_open(lua_State *L, tl_runtime *rt);
void tl_run_open(lua_State *L, tl_runtime *rt);
void tl_rwlock_open(lua_State *L, tl_runtime *rt);
void tl_scope_open(lua_State *L, tl_runtime *rt);
void tl_select_open(lua_State *L, tl_runtime *rt);
void tl_semaphore_open(lua_State *L, tl_runtime *rt);
void tl_serve_open(lua_State *L, tl_runtime *rt);
void tl_shared_queue_open(lua_State *L, tl_runtime *rt);
void tl_stats_open(lua_State *L, tl_runtime *rt);
void tl_stream_open(lua_State *L, tl_runtime *rt);
void tl_task_open(lua_State *L, tl_runtime *rt);
void tl_testing_open(lua_State *L, tl_runtime *rt);
void tl_tls_open(lua_State *L, tl_runtime *rt);
void tl_tree_open(lua_State *L, tl_runtime *rt);
void tl_use_open(lua_State *L, tl_runtime *rt);
void tl_wait_open(lua_State *L, tl_runtime *rt);

#endif
