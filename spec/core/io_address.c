/* io_address.c: addresses from text and back. */
#include "io.h"

static void check_round_trip(const char *host, uint16_t port, const char *formatted) {
  tide_address address;
  char text[TIDE_ADDRESS_TEXT];
  snprintf(check_state.context, sizeof check_state.context, "%s", host);
  CHECK_EQ(tide_address_parse(&address, host, port), TIDE_OK);
  tide_address_format(&address, text);
  CHECK_TEXT(text, formatted);
  tide_address_host(&address, text);
  if (strcmp(host, "localhost") != 0) CHECK_TEXT(text, host);
  if (!tide_address_is_unix(&address)) CHECK_EQ(tide_address_port(&address), port);
}

static void numeric_addresses_come_back_as_they_went(void) {
  check_round_trip("127.0.0.1", 80, "127.0.0.1:80");
  check_round_trip("0.0.0.0", 65535, "0.0.0.0:65535");
  check_round_trip("::1", 443, "[::1]:443");
  check_round_trip("2001:db8::5:1", 0, "[2001:db8::5:1]:0");
  check_round_trip("fe80::1%lo", 1, "[fe80::1%lo]:1");
  check_round_trip("unix:/run/x.sock", 9, "unix:/run/x.sock");
  check_round_trip("unix:x", 9, "unix:x");
  check_round_trip("unix:@name", 9, "unix:@name");
}

static void localhost_needs_no_name_server(void) {
  check_round_trip("localhost", 80, "127.0.0.1:80");
}

static void zones_may_be_numbers(void) {
  tide_address address;
  CHECK_EQ(tide_address_parse(&address, "fe80::1%1", 80), TIDE_OK);
  CHECK_EQ(address.as.ipv6.sin6_scope_id, 1);
  CHECK_EQ(tide_address_parse(&address, "fe80::1%4000000000", 80), TIDE_OK);
  char text[TIDE_ADDRESS_TEXT];
  tide_address_host(&address, text);
  CHECK_TEXT(text, "fe80::1%4000000000");
}

static void other_names_are_for_dns(void) {
  static const char *const names[] = {
      "",           "example.org", "1.2.3",
      "1.2.3.4.5",  "0x7f.1",      "1.2.3.256",
      "[::1]",      "::g",         "fe80::1%",
      "fe80::1%-1", "::1%nowhere", "1:2:3:4:5:6:7:8:9:0:1:2:3:4:5:6:7:8:9:0:1:2:3:4:5:6:7:8:9:0",
  };
  tide_address address;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(check_state.context, sizeof check_state.context, "%s", names[i]);
    CHECK_EQ(tide_address_parse(&address, names[i], 80), TIDE_EDNS);
  }
}

static void paths_for_sockets_are_short(void) {
  tide_address address;
  char path[200] = "unix:", text[TIDE_ADDRESS_TEXT];
  memset(path + 5, 'x', 107);
  CHECK_EQ(tide_address_parse(&address, path, 0), TIDE_OK);
  tide_address_format(&address, text);
  CHECK_TEXT(text, path);
  path[5] = '@';
  CHECK_EQ(tide_address_parse(&address, path, 0), TIDE_OK);
  tide_address_format(&address, text);
  CHECK_TEXT(text, path);
  path[5 + 107] = 'x';
  CHECK_EQ(tide_address_parse(&address, path, 0), TIDE_OS(ENAMETOOLONG));
  CHECK_EQ(tide_address_parse(&address, "unix:", 0), TIDE_OS(EINVAL));
}

static void sockets_without_a_name_are_shown_so(void) {
  world w;
  tide_stream one, other;
  tide_address address;
  char text[TIDE_ADDRESS_TEXT];
  io_open(&w);
  CHECK_EQ(tide_stream_pair(&one, &other, w.loop), TIDE_OK);
  CHECK_EQ(tide_stream_peer_address(&one, &address), TIDE_OK);
  tide_address_format(&address, text);
  CHECK_TEXT(text, "unix:");
  CHECK(tide_address_is_unix(&address));
  tide_stream_close(&one);
  tide_stream_close(&other);
  CHECK_EQ(tide_stream_local_address(&one, &address), TIDE_ECLOSED);
  io_close(&w);
}

int main(void) {
  RUN(numeric_addresses_come_back_as_they_went);
  RUN(localhost_needs_no_name_server);
  RUN(zones_may_be_numbers);
  RUN(other_names_are_for_dns);
  RUN(paths_for_sockets_are_short);
  RUN(sockets_without_a_name_are_shown_so);
  return check_summary();
}
