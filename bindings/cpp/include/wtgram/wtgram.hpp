// WebTransport datagrams for C++17 and later: includes all headers. Header-only over wtgram.h; link with
// wtgram::wtgram.
#ifndef WTGRAM_HPP
#define WTGRAM_HPP

#include <wtgram/batch.hpp>
#include <wtgram/broadcaster.hpp>
#include <wtgram/datagram.hpp>
#include <wtgram/error.hpp>
#include <wtgram/handle.hpp>
#include <wtgram/heartbeat.hpp>
#include <wtgram/library.hpp>
#include <wtgram/monitor.hpp>
#include <wtgram/options.hpp>
#include <wtgram/poller.hpp>
#include <wtgram/reliability.hpp>
#include <wtgram/serializer.hpp>
#include <wtgram/server.hpp>
#include <wtgram/session.hpp>
#include <wtgram/span.hpp>
#include <wtgram/stats.hpp>
#include <wtgram/structured.hpp>
#include <wtgram/throughput.hpp>
#include <wtgram/transport.hpp>
#include <wtgram/typed.hpp>

#endif
