-- Channels, in one state; spec/host/channel.c has several, and threads.
local tide = require "tide"
local helper = require "spec.helper"

local run, turns, raises, fails = helper.run, helper.turns, helper.raises, helper.fails

-- The first one that goes after somebody has waited in it gives the loop a descriptor, which it keeps.
helper.run_now(function()
  tide.move_on_after(0.001, function() tide.Channel():recv() end)
  helper.holdings()
  tide.sleep(0.001)
end)

describe("a Channel", function()
  it("hands each value to one receiver, in order, as a copy", run(function()
    local channel = tide.Channel()
    local sent = { 1, { "deep" } }
    channel:send(sent)
    channel:send(false)
    assert.are.equal(2, #channel)
    local got = channel:recv()
    assert.are.same(sent, got)
    assert.are_not.equal(sent, got)
    assert.is_false(channel:recv())
    local receivers = {}
    for i = 1, 3 do receivers[i] = tide.spawn(channel.recv, channel) end
    turns(2)
    for i = 1, 3 do channel:send(i) end
    for i = 1, 3 do assert.are.equal(i, receivers[i]:await()) end
  end))

  it("holds so many values at most: who sends more waits", run(function()
    local channel = tide.Channel(1)
    channel:send(1)
    local sender = tide.spawn(function() channel:send(2) return "sent" end)
    turns(2)
    assert.are.equal("waiting", sender:status())
    assert.is_false(channel:try_send(3))
    assert.are.equal(1, channel:recv())
    assert.are.equal("sent", sender:await())
    assert.are.equal(2, channel:try_recv())
    assert.is_nil(channel:try_recv())
    assert.is_true(channel:try_send(4))
    assert.are.equal(4, channel:recv())
    local usual = tide.Channel()
    for i = 1, 64 do assert.is_true(usual:try_send(i)) end
    assert.is_false(usual:try_send(65))
  end))

  it("ends with nil, when it is closed and all was taken", run(function()
    local channel, got = tide.Channel(), {}
    channel:send "a"
    channel:send "b"
    local sender = tide.spawn(function() for i = 1, 1000 do channel:send(i) end end)
    turns(2)
    channel:close()
    channel:close()
    raises("closed", sender.await, sender)
    assert.is_true(channel:closed())
    raises("closed", channel.send, channel, 1)
    raises("closed", channel.try_send, channel, 1)
    for value in channel:iter() do got[#got + 1] = value end
    assert.are.equal(64, #got)
    assert.are.equal("b", got[2])
    assert.is_nil(channel:recv())
    raises("closed", channel.try_recv, channel)
    local other = tide.Channel()
    local receiver = tide.spawn(function() return "end", other:recv() end)
    turns(2)
    do local _ <close> = other end
    assert.are.same({ "end" }, { receiver:await() })
  end))

  it("is a case of select", run(function()
    local one, two = tide.Channel(), tide.Channel()
    two:send { "x" }
    local index, value = tide.select(one, two)
    assert.are.same({ 2, "x" }, { index, value[1] })
    local waiter = tide.spawn(function() return tide.select(one, two, tide.Queue()) end)
    turns(2)
    one:send "y"
    assert.are.same({ 1, "y" }, { waiter:await() })
    waiter = tide.spawn(tide.select, one, two)
    turns(2)
    waiter:cancel()
    pcall(waiter.await, waiter)
    one:send "z"
    assert.are.equal("z", one:recv())
    one:close()
    raises("eof", tide.select, one, two)
  end))

  it("has sending as a case of select: what was not sent is as if it had never been", run(function()
    local one, two, event = tide.Channel(1), tide.Channel(1), tide.Event()
    local value = { "a" }
    local sending = one:sending(value)
    assert.are.equal("case(Channel.sending)", tostring(sending))
    assert.are.same({ 1 }, { tide.select(sending, event) })
    value[1] = "b" -- a case may be used again: of what the value is then
    assert.are.same({ 2 }, { tide.select(sending, two:sending(value)) })
    assert.are.same({ 1, 1 }, { #one, #two })
    local waiter = tide.spawn(function() return tide.select(sending, two:sending(3), event) end)
    turns(2)
    assert.are.equal("a", one:recv()[1])
    assert.are.same({ 1 }, { waiter:await() })
    assert.are.same({ "b", "b" }, { one:recv()[1], two:recv()[1] })
    assert.are.same({ 0, 0 }, { #one, #two })
    one:send(1)
    for _, how in ipairs { "set", "cancel", "kill", "close" } do
      waiter = tide.spawn(pcall, tide.select, sending, tide.Queue(), event)
      turns(2)
      if how == "set" then event:set() elseif how == "close" then one:close() else waiter[how](waiter) end
      local ok, x, err = pcall(waiter.await, waiter)
      if how == "set" then assert.are.same({ true, true, 3 }, { ok, x, err }) event:clear() end
      if how == "close" then assert.are.equal("closed", err.kind) end
      turns(2)
    end
    assert.are.same({ 1 }, { (one:recv()) })
    assert.is_nil(one:recv())
    raises("closed", tide.select, event, sending)
  end))

  it("refuses in select what cannot be sent, and takes back what was made before", run(function()
    local one, two, queue = tide.Channel(1), tide.Channel(1), tide.Queue()
    fails("nil cannot be sent", one.sending, one, nil)
    fails("value expected", one.sending, one)
    local err = raises("misuse", tide.select, queue:putting(1), one:sending("x"), two:sending { print })
    assert.matches("a function: it is value%[1%]", err.message)
    assert.are.same({ 0, 0, 0 }, { #one, #two, #queue })
    local many = {}
    for i = 1, 20 do many[i] = one:sending(i) end
    assert.are.same({ 1 }, { tide.select(table.unpack(many)) })
    assert.are.same({ 1, 1 }, { #one, one:recv() })
  end))

  it("loses nothing to who is cancelled, and nothing is sent by them", run(function()
    for _, how in ipairs { "cancel", "kill" } do
      local channel = tide.Channel(1)
      local receiver = tide.spawn(channel.recv, channel)
      turns(2)
      receiver[how](receiver)
      pcall(receiver.await, receiver)
      channel:send "kept"
      local sender = tide.spawn(channel.send, channel, "never")
      turns(2)
      sender[how](sender)
      pcall(sender.await, sender)
      assert.are.equal("kept", channel:recv())
      assert.is_nil(channel:try_recv())
      receiver = tide.spawn(channel.recv, channel) -- woken, and then struck
      turns(2)
      channel:send "handed"
      receiver[how](receiver)
      local ok, value = pcall(receiver.await, receiver)
      assert.are.equal("handed", ok and value or channel:recv())
    end
    assert.is_false(tide.move_on_after(0.001, tide.Channel().recv, tide.Channel()))
  end))

  it("goes through itself and through others", run(function()
    local one, two = tide.Channel(), tide.Channel()
    one:send { reply = two, again = two }
    local got = one:recv()
    assert.are.equal(two, got.reply)
    assert.are.equal(got.reply, got.again)
    assert.are_not.equal(one, two)
    got.reply:send "through"
    assert.are.equal("through", two:recv())
    two:send(one)
    two:send(two) -- holds itself until it is taken out
    assert.are.equal(one, two:recv())
    assert.are.equal(two, two:recv())
  end))

  it("refuses what cannot be copied, and says where it is", run(function()
    local channel = tide.Channel()
    local err = raises("misuse", channel.send, channel, { list = { 1, print } })
    assert.matches("a function: it is value.list%[2%]", err.message)
    raises("misuse", channel.try_send, channel, tide.Queue())
    fails("bad argument #1 to 'send' (nil cannot be sent", function() channel:send(nil) end)
    fails("bad argument", function() channel:send() end)
    for _, bad in ipairs { 0, -1, 1.5, "x" } do fails("bad argument #1", tide.Channel, bad) end
    fails("Channel expected", channel.recv, {})
    assert.are.equal(0, #channel)
    assert.are.equal("Channel(0 messages)", tostring(channel))
    channel:close()
    assert.are.equal("Channel(0 messages, closed)", tostring(channel))
  end))

  it("makes a turn of each 256th call", run(function()
    local channel = tide.Channel(1)
    local other = helper.bystander()
    for i = 1, 5000 do
      channel:send(i)
      channel:recv()
    end
    assert.is_true(other.turns >= 10)
    other.task:cancel()
  end))

  it("is closed to a finalizer that comes across it after it was collected", run(function()
    local uses = {
      try_send = function(c) c:try_send(1) end, try_recv = function(c) c:try_recv() end,
      iter = function(c) c:iter() end, close = function(c) c:close() end,
      closed = function(c) c:closed() end, len = function(c) return #c end, tostring = tostring,
    }
    local expected, kinds = {}, {}
    for name, use in pairs(uses) do
      local last = setmetatable({}, { __gc = function(self) -- the channel is younger: it goes first
        local _, err = pcall(use, self.channel)
        kinds[name] = err.kind
      end })
      last.channel = tide.Channel()
      expected[name] = "closed"
    end
    collectgarbage()
    assert.are.same(expected, kinds)
  end))

  it("goes, with what is in it, when nobody has it any more", run(function()
    for i = 1, 1000 do
      local channel = tide.Channel()
      channel:send(("x"):rep(1000))
      if i % 2 == 0 then channel:send(tide.Channel()) end
    end
  end))
end)
