-- tide.tls: options of TLS, and streams that go on over it.
local tide = require "tide"
local check = require "tide.check"

local methods = tide.stream_methods
local new_context, begin, handshake, stamp = tide.tls_context, tide.tls_begin, tide.tls_handshake, tide.file_stamp
local hello, switch_context, host_of = tide.tls_hello, tide.tls_switch, tide.stream_host
local raw_pcall, time, begins = tide.raw.pcall, tide.time, tide.begins

local concat, format = table.concat, string.format

local KNOWN = {
  client = "ca:string crl:string cert:string key:string password:string min_version:1.2|1.3 alpn:any "
    .. "verify:flag server_name:string",
  server = "ca:missing crl:string cert:string key:string password:string min_version:1.2|1.3 alpn:any "
    .. "client_ca:string verify_client:require|optional sni:function",
}
local NAMED = { "crl", "cert", "key", "ca" } -- what may be a file
local KEPT = 16 -- contexts of clients that are kept for who connects again
local LOOK = 1 -- seconds in which files are not looked at again

-- ---- contexts: the same for options that are equal by value, so that sessions are resumed

-- Of clients: by their keys, which are listed the oldest first.
local contexts, order = {}, {}

local function is_file(named) return named and not string.find(named, "-----BEGIN", 1, true) end

-- What tells whether one of the files has changed.
local function stamp_of(wanted)
  local list = {}
  for i, name in ipairs(NAMED) do
    local named = wanted[name]
    list[i] = is_file(named) and stamp(named) or ""
  end
  return concat(list, "\n")
end

local function key_of(wanted, alpn)
  local list = {}
  for _, name in ipairs { "ca", "crl", "cert", "key", "password", "min_version", "verify_client" } do
    list[#list + 1] = wanted[name] and format("%d:%s", #wanted[name], wanted[name]) or "-"
  end
  for _, name in ipairs { "server", "insecure" } do list[#list + 1] = tostring(wanted[name] or false) end
  for _, protocol in ipairs(alpn or {}) do list[#list + 1] = format("%d:%s", #protocol, protocol) end
  return concat(list, "\n")
end

local function keep(key, entry)
  contexts[key] = entry
  order[#order + 1] = key
  if #order > KEPT then contexts[table.remove(order, 1)] = nil end
end

-- What options are to connections: `context` is made of `wanted` and `alpn`, and again where a file has
-- changed; `host` is who a client wants to talk to, or nil.
local function renew(self)
  local now = stamp_of(self.wanted)
  if self.context and now == self.stamp then return end
  self.stamp = now -- that is not tried again either
  self.context = new_context(self.wanted, self.alpn)
end

-- The context, looked after once a second. What a changed file fails with is returned besides.
local function context_of(self)
  if time() - self.looked < LOOK then return self.context end
  self.looked = time()
  local ok, err = raw_pcall(renew, self)
  return self.context, not ok and err or nil
end

-- ---- options

local function copied(options)
  local fields = {}
  for key, value in next, options do fields[key] = value end
  return fields
end

local function check_alpn(list, position, name, level)
  if list == nil then return end
  check.type(position, name, "table", list, level + 1)
  local copy = {}
  for i = 1, check.length(position, name, list, level + 1) do
    local protocol = list[i]
    if type(protocol) ~= "string" or #protocol == 0 or #protocol > 255 then
      check.fail(position, name, "field 'alpn' must be a list of names of protocols", level + 1)
    end
    copy[i] = protocol
  end
  return copy
end

local function check_texts(wanted, position, name, level)
  for _, field in ipairs { "ca", "crl", "cert", "key", "password", "server_name" } do
    if wanted[field] and string.find(wanted[field], "\0", 1, true) then
      check.fail(position, name, format("field '%s' has a NUL", field), level + 1)
    end
  end
end

-- options: true, or a table
local function read(options, side, position, name, level)
  if options == true then options = {} end
  if type(options) ~= "table" then check.fail(position, name, "field 'tls' must be a boolean or a table", level + 1) end
  local wanted = { server = side == "server" }
  local alpn, sni, verify, _
  if wanted.server then
    _, wanted.crl, wanted.cert, wanted.key, wanted.password, wanted.min_version, alpn, wanted.ca, wanted.verify_client,
      sni = check.options(position, name, KNOWN.server, options, level + 1)
  else
    wanted.ca, wanted.crl, wanted.cert, wanted.key, wanted.password, wanted.min_version, alpn, verify, wanted.server_name =
      check.options(position, name, KNOWN.client, options, level + 1)
    wanted.insecure = verify == false
  end
  check_texts(wanted, position, name, level + 1)
  return wanted, check_alpn(alpn, position, name, level + 1), sni
end

-- `kept`: a server will ask for the same again.
local function prepare(options, side, host, position, name, level, kept)
  local wanted, alpn, sni = read(options, side, position, name, level + 1)
  host = wanted.server_name or host
  if not wanted.server and not host and not wanted.insecure then
    check.fail(position, name, "field 'server_name' is needed where there is no host", level + 1)
  end
  local key = key_of(wanted, alpn)
  local entry = contexts[key]
  if not entry then
    entry = { wanted = wanted, alpn = alpn, looked = time(), stamp = false, context = false }
    renew(entry)
    if not wanted.server or kept then keep(key, entry) end
  else
    local _, err = context_of(entry)
    if err then error(err, 0) end
  end
  return { entry = entry, host = host, sni = sni }
end

tide.set_hook("tls_options", function(options, side, host, position, name)
  return prepare(options, side, host, position, name, 2)
end)

-- ---- streams

-- Over a stream that has just been connected; waits.
tide.set_hook("tls_connected", function(stream, prepared, port)
  local ok, err = raw_pcall(function()
    begin(stream, prepared.entry.context, prepared.host, port)
    handshake(stream)
  end)
  if ok then return stream end
  stream:close()
  error(err, 0)
end)

-- Over one that was accepted: the handshake comes with its first read or write. What a changed
-- certificate fails with is returned: the old one goes on.
tide.set_hook("tls_accepted", function(stream, prepared)
  local context, err = context_of(prepared.entry)
  begin(stream, context)
  return err
end)

-- What the function `sni` of a server's options says of that name.
local function switch(stream, sni, name)
  local options = sni(name)
  if options == nil then return end
  if type(options) ~= "table" then error("sni must return a table of options, or nil", 0) end
  switch_context(stream, prepare(options, "server", nil, 1, "sni", 2, true).entry.context)
end

-- Over a stream that was accepted, up to the end of the handshake; waits.
local function serve(stream, prepared)
  begin(stream, prepared.entry.context)
  if prepared.sni then switch(stream, prepared.sni, hello(stream)) end
  handshake(stream)
end

-- stream:starttls([options]) (waits): goes on over TLS, as the server where it was accepted, and as the
-- client where it was connected; `server=` says otherwise
function methods:starttls(options)
  begins()
  local host = host_of(self)
  local server = host == nil
  if options == nil then options = true end
  if options ~= true then
    check.type(1, "starttls", "table", options, 2)
    options = copied(options)
    if options.server ~= nil then server, options.server = options.server, nil end
    if type(server) ~= "boolean" then check.fail(1, "starttls", "field 'server' must be a boolean", 2) end
  end
  local prepared = prepare(options, server and "server" or "client", host, 1, "starttls", 2)
  self:flush()
  if server then return serve(self, prepared) end
  begin(self, prepared.entry.context, prepared.host)
  handshake(self)
end

return { prepare = prepare, context_of = context_of, serve = serve }
