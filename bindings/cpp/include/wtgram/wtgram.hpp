/// @file
/// Includes all headers of the C++ interface. It needs C++17 and is header-only over wtgram.h. Link with
/// wtgram::wtgram.

/// @namespace wtgram
/// WebTransport datagrams for C++17 and later.
///
/// Calls have up to three forms. Their names are the same in all classes:
/// - `x` waits as long as needed, or as long as its timeout allows. It throws wtgram::error on failure.
/// - `x_for` waits at most as long as you say. It returns an expected and throws nothing.
/// - `try_x` never waits. It returns an expected and throws nothing.
///
/// Calls that never wait have two forms: `x` throws, and `try_x` returns an expected.
///
/// A timeout of 0 does not wait: the call fails with errc::would_block. When another timeout elapses, it fails with
/// errc::timed_out. Every function may be called from any thread.
#ifndef WTGRAM_HPP
#define WTGRAM_HPP

#include <wtgram/batch.hpp>
#include <wtgram/broadcaster.hpp>
#include <wtgram/connect_failure.hpp>
#include <wtgram/datagram.hpp>
#include <wtgram/error.hpp>
#include <wtgram/handle.hpp>
#include <wtgram/heartbeat.hpp>
#include <wtgram/identity.hpp>
#include <wtgram/library.hpp>
#include <wtgram/limits.hpp>
#include <wtgram/monitor.hpp>
#include <wtgram/options.hpp>
#include <wtgram/poller.hpp>
#include <wtgram/reliability.hpp>
#include <wtgram/request.hpp>
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
