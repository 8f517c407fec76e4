-- spec.certificates: an authority of the specs' own, and certificates good and bad, made by the program
-- openssl when they are first asked for, in a directory that is removed at the end.
--
-- `certificates.path "server.pem"` is a file, `certificates.text "ca.pem"` what is in it, and
-- `certificates.available` says whether there is TLS, and the program.
local tide = require "tide"

local certificates = {}

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local made -- the directory, once there is one

local SCRIPT = [[
set -eu
export RANDFILE=.rnd
cat > config <<'END'
[ca]
default_ca = own
[own]
dir = .
new_certs_dir = .
database = index
serial = serial
default_md = sha256
policy = any
x509_extensions = leaf
unique_subject = no
default_crl_days = 30
[any]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[req]
distinguished_name = name
[name]
END
: > index
echo 01 > serial
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
# authority FILE SUBJECT
key ca.key
openssl req -config config -x509 -new -key ca.key -days 30 -subj "/CN=Spec Authority" -extensions authority -out ca.pem
key other_ca.key
openssl req -config config -x509 -new -key other_ca.key -days 30 -subj "/CN=Other Authority" -extensions authority \
  -out other_ca.pem
# leaf NAME SUBJECT ALTERNATIVE FROM UNTIL [CA]
leaf() {
  key "$1.key"
  openssl req -config config -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
  printf 'basicConstraints=CA:FALSE\n%s' "${3:+subjectAltName=$3}" > "$1.ext"
  openssl ca -config config -batch -notext -in "$1.csr" -out "$1.pem" -extfile "$1.ext" -startdate "$4" -enddate "$5" \
    -cert "${6:-ca}.pem" -keyfile "${6:-ca}.key"
  rm "$1.csr" "$1.ext"
}
now=20200101000000Z later=20450101000000Z
leaf server server "DNS:localhost,DNS:*.example.org,IP:127.0.0.1,IP:::1" $now $later
leaf second second "DNS:localhost,DNS:second.example" $now $later
leaf other other "DNS:other.example" $now $later
leaf expired expired "DNS:localhost" $now 20210101000000Z
leaf future future "DNS:localhost" 20400101000000Z $later
leaf cn_only localhost "" $now $later
leaf client "Some Client" "" $now $later
leaf revoked revoked "DNS:localhost" $now $later
openssl ca -config config -revoke revoked.pem -cert ca.pem -keyfile ca.key
openssl ca -config config -gencrl -out ca.crl -cert ca.pem -keyfile ca.key
leaf stranger "Stranger" "" $now $later other_ca
key self_signed.key
openssl req -config config -x509 -new -key self_signed.key -days 30 -subj "/CN=localhost" \
  -addext "subjectAltName=DNS:localhost" -out self_signed.pem
# one in between
key between.key
openssl req -config config -new -key between.key -subj "/CN=In Between" -out between.csr
openssl ca -config config -batch -notext -in between.csr -out between.pem -extensions authority -startdate $now \
  -enddate $later -cert ca.pem -keyfile ca.key
leaf far far "DNS:localhost" $now $later between
cat far.pem between.pem > chain.pem
# other forms
openssl ec -in server.key -aes256 -passout pass:secret -out locked.key
cat server.key server.pem > together.pem
cat ca.pem other_ca.pem > both_cas.pem
mkdir authorities
cp ca.pem authorities/
openssl rehash authorities
printf -- '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' > broken.pem
]]

local function make()
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute("mkdir -m 700 " .. quote(dir)))
  local log = dir .. "/log"
  if not os.execute(("cd %s && exec sh -c %s >%s 2>&1 </dev/null"):format(quote(dir), quote(SCRIPT), quote(log))) then
    local file <close> = assert(io.open(log))
    error("openssl: " .. file:read "a")
  end
  made = setmetatable({ dir = dir }, { __gc = function() os.execute("rm -rf " .. quote(dir)) end })
end

certificates.has_program = (os.execute "command -v openssl >/dev/null 2>&1") == true

-- Whether tide has TLS, and it is there.
local function has_tls()
  local _, err = pcall(tide.net.listen, "127.0.0.1", 0, { tls = { cert = "-----BEGIN", key = "-----BEGIN" } })
  return err.kind == "tls" -- and not `os`
end

certificates.available = certificates.has_program and has_tls()

function certificates.path(name)
  if not made then make() end
  return made.dir .. "/" .. name
end

function certificates.text(name)
  local file <close> = assert(io.open(certificates.path(name)))
  return file:read "a"
end

-- The options of a server, and of a client that believes it; `more` is added.
local function with(options, more)
  for key, value in pairs(more or {}) do options[key] = value end
  return options
end

function certificates.server(more, name)
  name = name or "server"
  return with({ cert = certificates.path(name .. ".pem"), key = certificates.path(name .. ".key") }, more)
end

function certificates.client(more)
  return with({ ca = certificates.path "ca.pem" }, more)
end

-- Both streams go on over TLS: the first is the client.
function certificates.secure(client, server, client_options, server_options)
  local options = certificates.server(server_options)
  options.server = true
  local task = tide.spawn(server.starttls, server, options)
  client:starttls(certificates.client(with({ server = false, server_name = "localhost" }, client_options)))
  task:await()
  return client, server
end

return certificates
