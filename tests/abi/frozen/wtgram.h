#ifndef WTGRAM_H
#define WTGRAM_H

/**
 * @file wtgram.h
 * WebTransport datagrams.
 *
 * FROZEN: the interface of the first release of SONAME 0.1, for tests/abi/older_program.c. Never edit.
 *
 * Conventions (docs/c-interface.md has all of them):
 * - Handles are values. `{0}` is no handle.
 * - Every function may be called from any thread. A wait ends when its object is closed or freed.
 * - Functions return `WTGRAM_OK` (0) or a negative `wtgram_status`. Then all outputs are zero,
 *   unless the description says otherwise.
 * - Common errors, which the descriptions do not repeat: `WTGRAM_ERROR_INVALID_HANDLE` for a handle
 *   that is zero or freed; `WTGRAM_ERROR_INVALID_ARGUMENT` for NULL where a pointer is needed, a
 *   wrong `struct_size`, or a value out of range; `WTGRAM_ERROR_CLOSED` after `wtgram_shutdown`;
 *   `WTGRAM_ERROR_FORKED` in a forked child; `WTGRAM_ERROR_INTERNAL` for a bug in the library.
 * - Names: `_get_` reads, `_set_` changes, `_is_` answers yes or no, `_try_` never waits.
 *   `_listen`, `_connect` and `_accept` make an object of the network, `_open` one over another
 *   object, `_new` an independent one. `_close` ends an object; `_free` closes it and releases its
 *   handle.
 * - Durations, ages and timeouts are in microseconds (`_us`). A timeout is `WTGRAM_FOREVER`,
 *   positive (`WTGRAM_ERROR_TIMED_OUT` when it elapses), or 0 (`WTGRAM_ERROR_WOULD_BLOCK` instead
 *   of a wait).
 * - Structs that start with `struct_size` can grow in later versions. Call their `_init` function
 *   before you use them. NULL options are the defaults.
 *
 * Contents:
 *
 *      1. Status
 *      2. Library
 *      3. Handles
 *      4. Options of connections and transports
 *      5. Server
 *      6. Session
 *      7. Transport
 *      8. Reliability layer
 *      9. Broadcaster
 *     10. Monitor
 *     11. Structured transport
 *     12. Poller
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Marks functions whose result must not be ignored. */
#if defined(__GNUC__) || defined(__clang__)
#define WTGRAM_MUST_USE __attribute__((warn_unused_result))
#else
#define WTGRAM_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ============================================================================================ *
 * 1. Status                                                                                    *
 * ============================================================================================ */

/**
 * @defgroup status Status
 * Every function returns a `wtgram_status`, except those that cannot fail.
 * @{
 */

/**
 * The result of a function. 0 is success; errors are negative.
 *
 * `docs/errors.md` says for each status when it occurs and what to do.
 */
typedef enum {
  /** Success. */
  WTGRAM_OK = 0,
  /** The handle is zero, freed, or of another type. */
  WTGRAM_ERROR_INVALID_HANDLE = -1,
  /** An argument is not one that the function accepts. */
  WTGRAM_ERROR_INVALID_ARGUMENT = -2,
  /** The timeout of a wait elapsed. Nothing was lost. */
  WTGRAM_ERROR_TIMED_OUT = -3,
  /** The call would have to wait, but its timeout is 0 or its name contains `_try_`. */
  WTGRAM_ERROR_WOULD_BLOCK = -4,
  /** The object, the object below it, or the library is closed. */
  WTGRAM_ERROR_CLOSED = -5,
  /** The datagram is larger than the path, the peer or the object allows. */
  WTGRAM_ERROR_TOO_LARGE = -6,
  /** The peer does not accept datagrams. */
  WTGRAM_ERROR_UNSUPPORTED = -7,
  /** The buffer is too small. The call reports the size needed and loses nothing. */
  WTGRAM_ERROR_BUFFER_TOO_SMALL = -8,
  /** The queue is full and its policy is to reject. */
  WTGRAM_ERROR_QUEUE_FULL = -9,
  /** There are too many objects, or too many outcomes that nobody fetched. */
  WTGRAM_ERROR_LIMIT_REACHED = -10,
  /** The object is in a state that does not allow the call. */
  WTGRAM_ERROR_INVALID_STATE = -11,
  /** The process was forked after the library started. The child cannot use it. */
  WTGRAM_ERROR_FORKED = -12,
  /** A bug in the library. The library goes on; please report it. */
  WTGRAM_ERROR_INTERNAL = -13,
  /** The operating system refused a request. */
  WTGRAM_ERROR_IO = -14,
  /** The URL cannot be used. */
  WTGRAM_ERROR_INVALID_URL = -20,
  /** The host name did not resolve. */
  WTGRAM_ERROR_NAME_NOT_RESOLVED = -21,
  /** No session within the deadline. If no server listens on the port, you get this, too. */
  WTGRAM_ERROR_CONNECT_TIMEOUT = -22,
  /** The server refused the QUIC connection. */
  WTGRAM_ERROR_CONNECTION_REFUSED = -23,
  /** No trusted authority signed the server's certificate. */
  WTGRAM_ERROR_CERTIFICATE_UNTRUSTED = -24,
  /** The certificate is expired or not yet valid, or, if trusted by hash, valid for too long. */
  WTGRAM_ERROR_CERTIFICATE_EXPIRED = -25,
  /** The certificate is for another name. */
  WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH = -26,
  /** The certificate has none of the given SHA-256 hashes. */
  WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH = -27,
  /** The TLS handshake failed for another reason. */
  WTGRAM_ERROR_TLS = -28,
  /** The server answered with an HTTP status other than 2xx. The detail text contains it. */
  WTGRAM_ERROR_REJECTED = -29,
  /** The peer does not speak WebTransport over HTTP/3, or violates it. */
  WTGRAM_ERROR_PROTOCOL = -30,
  /** A certificate, key or PEM source cannot be used. */
  WTGRAM_ERROR_IDENTITY = -31,
  /** Certificate and private key do not match. */
  WTGRAM_ERROR_KEY_MISMATCH = -32,
  /** The text is not acceptable JSON, or the object cannot be serialized. */
  WTGRAM_ERROR_SERIALIZATION = -33,
  /** The type id is not registered. */
  WTGRAM_ERROR_UNKNOWN_TYPE = -34,
  /** The object in a structured datagram cannot be decoded. */
  WTGRAM_ERROR_DESERIALIZATION = -35,
  /** A structured datagram is too short for a type id. */
  WTGRAM_ERROR_TRUNCATED = -36,
} wtgram_status;

/**
 * Returns the name of a status, for example `"WTGRAM_ERROR_TIMED_OUT"`.
 *
 * @param status A `wtgram_status`, or any other number.
 *
 * @return A static string, never NULL: `"WTGRAM_UNKNOWN_STATUS"` for a number that is not a
 *   status.
 */
const char *wtgram_status_name(int32_t status);

/**
 * Returns a short English sentence about a status.
 *
 * @param status A `wtgram_status`, or any other number.
 *
 * @return A static string, never NULL.
 */
const char *wtgram_status_message(int32_t status);

/** @} */

/* ============================================================================================ *
 * 2. Library                                                                                   *
 * ============================================================================================ */

/**
 * @defgroup library Library
 * Version, options, shutdown and log lines. Nothing here is needed to begin: the library starts
 * its threads with the first server or session. Call `wtgram_runtime_configure` before that to
 * change its options, and `wtgram_shutdown` at the end so that peers learn that their sessions are
 * closed.
 * @{
 */

/** Major version of this header. */
#define WTGRAM_VERSION_MAJOR 0

/**
 * Minor version of this header. Before 1.0 the ABI may change with it, and the SONAME changes with
 * it.
 */
#define WTGRAM_VERSION_MINOR 1

/** Patch version of this header. */
#define WTGRAM_VERSION_PATCH 0

/**
 * Returns the version of the loaded library, for example `"0.1.0"`.
 *
 * @return A static string, never NULL.
 */
const char *wtgram_version(void);

/**
 * Returns the version of the loaded library as a number.
 *
 * @return `major << 16 | minor << 8 | patch`.
 */
uint32_t wtgram_version_number(void);

/** Options of the whole library. */
typedef struct {
  /** Size of this struct, set by `wtgram_runtime_options_init`. */
  size_t struct_size;
  /**
   * Number of lanes, the threads that run the protocol: 1 to 256. All sessions of a server share
   * one lane. Default 1.
   */
  uint32_t lanes;
  /**
   * 1, the default: a thread that waits in a call does the work of its lane meanwhile, and a
   * single datagram leaves on the thread that sends it. This saves a switch between threads in
   * each direction. 0: only lanes do the work.
   */
  uint32_t lead;
  /**
   * How long a waiting thread polls for packets before it sleeps, in microseconds, 0 to 1000. It
   * polls only as long as this has shortened its waits. Default 30.
   */
  int64_t spin_us;
} wtgram_runtime_options;

/** For bindings: `wtgram_runtime_options_init` for a struct of `size` bytes. */
void wtgram_runtime_options_init_sized(wtgram_runtime_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_runtime_options_init(wtgram_runtime_options *options)
{
  wtgram_runtime_options_init_sized(options, sizeof *options);
}

/**
 * Sets the options of the library. Call it before the first server or session.
 *
 * @param options Options; NULL for the defaults.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_ARGUMENT`: an option is out of range.
 * - `WTGRAM_ERROR_INVALID_STATE`: the library runs already.
 */
WTGRAM_MUST_USE wtgram_status wtgram_runtime_configure(const wtgram_runtime_options *options);

/**
 * Closes all servers and sessions with code 0, waits until the peers were told, and ends all
 * threads.
 *
 * Calls that wait return `WTGRAM_ERROR_CLOSED`, and so does every later call. `_free` functions
 * still work. Do not call it from a callback.
 *
 * @param timeout_us How long to wait for the close messages to leave, in microseconds, or
 *   `WTGRAM_FOREVER`.
 *
 * @return
 * - `WTGRAM_OK`: also when the library was shut down before.
 * - `WTGRAM_ERROR_TIMED_OUT`: all is closed, but some close messages did not leave in time.
 * - `WTGRAM_ERROR_INVALID_ARGUMENT`: the timeout is negative.
 */
wtgram_status wtgram_shutdown(int64_t timeout_us);

/** Severity of a log line. */
typedef enum {
  /** No log lines. */
  WTGRAM_LOG_OFF = 0,
  /** Something failed. */
  WTGRAM_LOG_ERROR = 1,
  /** Something is suspicious. */
  WTGRAM_LOG_WARN = 2,
  /** Rare events of general interest. */
  WTGRAM_LOG_INFO = 3,
  /** Details for finding the cause of a problem. */
  WTGRAM_LOG_DEBUG = 4,
  /** Every packet. */
  WTGRAM_LOG_TRACE = 5,
} wtgram_log_level;

/**
 * Receives a log line: `level` is a `wtgram_log_level`, `target` names the module. Both strings
 * are valid until the callback returns; bytes from peers are escaped in them. The library calls it
 * on its callback thread, one call at a time.
 */
typedef void (*wtgram_log_callback)(void *context,
                                    int32_t level,
                                    const char *target,
                                    const char *message);

/**
 * Sends log lines up to a level to a callback. After a change the previous callback may still get
 * lines that were already on their way.
 *
 * @param level A `wtgram_log_level`; `WTGRAM_LOG_OFF` ends logging.
 * @param callback The callback; NULL ends logging.
 * @param context Passed to the callback.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_ARGUMENT`: there is no such level.
 * - `WTGRAM_ERROR_IO`: the callback thread cannot be started.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_log_configure(int32_t level,
                                   wtgram_log_callback callback,
                                   void *context);

/** A timeout that never elapses. */
#define WTGRAM_FOREVER -1

/** @} */

/* ============================================================================================ *
 * 3. Handles                                                                                   *
 * ============================================================================================ */

/**
 * @defgroup handles Handles
 * A handle names an object. It is a small value: copy it, store it, compare its `id`. Functions
 * refuse a handle that was freed; numbers are never reused.
 * @{
 */

/** A listening server. */
typedef struct {
  /** Number of the handle; 0 for none. */
  uint64_t id;
} wtgram_server;

/** A WebTransport session, of a client or accepted by a server. */
typedef struct {
  /** Number of the handle; 0 for none. */
  uint64_t id;
} wtgram_session;

/** The datagrams of a session. Released with its session. */
typedef struct {
  /** Number of the handle; 0 for none. */
  uint64_t id;
} wtgram_transport;

/** A reliability layer. */
typedef struct {
  /** Number of the handle; 0 for none. */
  uint64_t id;
} wtgram_reliability;

/** A broadcaster. It does not own its members. */
typedef struct {
  /** Number of the handle; 0 for none. */
  uint64_t id;
} wtgram_broadcaster;

/** A monitor of a transport. Closes with its transport. */
typedef struct {
  /** Number of the handle; 0 for none. */
  uint64_t id;
} wtgram_monitor;

/** A structured transport. Closes with the object below it. */
typedef struct {
  /** Number of the handle; 0 for none. */
  uint64_t id;
} wtgram_structured;

/** A poller. */
typedef struct {
  /** Number of the handle; 0 for none. */
  uint64_t id;
} wtgram_poller;

/** @} */

/* ============================================================================================ *
 * 4. Options of connections and transports                                                     *
 * ============================================================================================ */

/**
 * @defgroup options Options of connections and transports
 * Servers and clients take the same options for their QUIC connections and for the queues of their
 * sessions. Fill a struct with its `_init` function, change what you need, and set the pointer
 * `connection` or `transport` in `wtgram_listen_options` or `wtgram_connect_options`.
 * @{
 */

/** Congestion control algorithms. */
typedef enum {
  /** CUBIC, RFC 9438. The default. */
  WTGRAM_CONGESTION_CUBIC = 0,
  /** BBR, experimental. */
  WTGRAM_CONGESTION_BBR = 1,
  /** NewReno, RFC 9002. */
  WTGRAM_CONGESTION_NEW_RENO = 2,
} wtgram_congestion_controller;

/** Options of a QUIC connection. */
typedef struct {
  /** Size of this struct, set by `wtgram_connection_options_init`. */
  size_t struct_size;
  /** Interval of keep-alive packets, in microseconds; 0 disables them. Default 10 s. */
  int64_t keep_alive_us;
  /**
   * The connection ends when nothing arrives for this long, in microseconds; 0 disables the
   * timeout. The lower value of both peers applies. Default 30 s.
   */
  int64_t idle_timeout_us;
  /** Requested `SO_RCVBUF` in bytes; 0 requests 4 MiB. The system may grant less. */
  uint64_t socket_receive_buffer_bytes;
  /** Requested `SO_SNDBUF` in bytes; 0 requests 4 MiB. The system may grant less. */
  uint64_t socket_send_buffer_bytes;
  /** A `wtgram_congestion_controller`. Default CUBIC. */
  uint32_t congestion_controller;
  /** Reserved; 0. */
  uint32_t reserved;
} wtgram_connection_options;

/** For bindings: `wtgram_connection_options_init` for a struct of `size` bytes. */
void wtgram_connection_options_init_sized(wtgram_connection_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_connection_options_init(wtgram_connection_options *options)
{
  wtgram_connection_options_init_sized(options, sizeof *options);
}

/** What happens to a datagram when the outgoing queue is full. */
typedef enum {
  /**
   * The oldest queued datagram of the lowest priority is dropped, unless its priority is higher.
   * The default.
   */
  WTGRAM_FULL_EVICT = 0,
  /** The new datagram is rejected with `WTGRAM_ERROR_QUEUE_FULL`. */
  WTGRAM_FULL_REJECT = 1,
  /** The call waits until there is space. */
  WTGRAM_FULL_WAIT = 2,
} wtgram_full_policy;

/** Which datagram is dropped when the incoming queue is full. */
typedef enum {
  /** The oldest one in the queue. The default. */
  WTGRAM_DROP_OLDEST = 0,
  /** The one that arrives. */
  WTGRAM_DROP_NEWEST = 1,
} wtgram_drop_policy;

/** Options of a session's transport. All but `outcome_capacity` can be changed later. */
typedef struct {
  /** Size of this struct, set by `wtgram_transport_options_init`. */
  size_t struct_size;
  /** Limit of the outgoing queue in datagrams, at least 1. Default 100. */
  uint64_t outgoing_max_datagrams;
  /** Limit of the outgoing queue in payload bytes. Default 4 MiB. */
  uint64_t outgoing_max_bytes;
  /** Outgoing datagrams of this age are dropped, in microseconds; 0, the default, sets no limit. */
  int64_t outgoing_max_age_us;
  /** Limit of the incoming queue in datagrams, at least 1. Default 4096. */
  uint64_t incoming_max_datagrams;
  /** Limit of the incoming queue in payload bytes. Default 1 MiB. */
  uint64_t incoming_max_bytes;
  /** Incoming datagrams of this age are dropped, in microseconds; 0, the default, sets no limit. */
  int64_t incoming_max_age_us;
  /** A `wtgram_full_policy`. Default `WTGRAM_FULL_EVICT`. */
  uint32_t outgoing_full_policy;
  /** A `wtgram_drop_policy`. Default `WTGRAM_DROP_OLDEST`. */
  uint32_t incoming_drop_policy;
  /**
   * High-water mark of the outgoing queue in datagrams; 0, the default, takes the queue's limit.
   * The low-water mark is half of it.
   */
  uint64_t outgoing_high_water_mark;
} wtgram_transport_options;

/** For bindings: `wtgram_transport_options_init` for a struct of `size` bytes. */
void wtgram_transport_options_init_sized(wtgram_transport_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_transport_options_init(wtgram_transport_options *options)
{
  wtgram_transport_options_init_sized(options, sizeof *options);
}

/** @} */

/* ============================================================================================ *
 * 5. Server                                                                                    *
 * ============================================================================================ */

/**
 * @defgroup server Server
 * A server listens on a UDP port and accepts sessions. Call order: `wtgram_listen_options_init`,
 * `wtgram_server_listen`, then `wtgram_server_accept` again and again, and `wtgram_server_free`.
 * @{
 */

/** Length of a certificate hash (SHA-256), in bytes. */
#define WTGRAM_CERTIFICATE_HASH_LENGTH 32

/** Source of a server's certificate and private key. */
typedef enum {
  /**
   * A new ECDSA P-256 certificate that browsers accept by its hash. It is valid for 14 days. It
   * begins a day in the past, for clients with a slow clock. The default.
   */
  WTGRAM_IDENTITY_SELF_SIGNED = 0,
  /** PEM files. */
  WTGRAM_IDENTITY_PEM_FILES = 1,
  /** PEM bytes. */
  WTGRAM_IDENTITY_PEM_BYTES = 2,
} wtgram_identity;

/** Options of a server. */
typedef struct {
  /** Size of this struct, set by `wtgram_listen_options_init`. */
  size_t struct_size;
  /**
   * IP address to bind, for example `"127.0.0.1"` or `"::"` (IPv6 only). NULL, the default,
   * binds all addresses of both families.
   */
  const char *host;
  /** UDP port, 0 to 65535; 0, the default, takes a free one. */
  uint32_t port;
  /** A `wtgram_identity`. */
  uint32_t identity;
  /** PEM file of the certificate chain, leaf first, for `WTGRAM_IDENTITY_PEM_FILES`. */
  const char *certificate_file;
  /** PEM file of the private key (PKCS #8, SEC 1 or PKCS #1). */
  const char *private_key_file;
  /** Certificate chain as PEM bytes, for `WTGRAM_IDENTITY_PEM_BYTES`. */
  const uint8_t *certificate_pem;
  /** Length of `certificate_pem`, in bytes. */
  size_t certificate_pem_length;
  /** Private key as PEM bytes. */
  const uint8_t *private_key_pem;
  /** Length of `private_key_pem`, in bytes. */
  size_t private_key_pem_length;
  /** DNS names and IP addresses of a self-signed certificate. */
  const char *const *self_signed_names;
  /** Number of names; 0, the default, means `localhost`, `127.0.0.1` and `::1`. */
  size_t self_signed_names_count;
  /**
   * Deadline of a client for the TLS handshake, SETTINGS and CONNECT together, in microseconds.
   * Default 10 s.
   */
  int64_t handshake_timeout_us;
  /**
   * How many established sessions may wait for `wtgram_server_accept`, 1 to 65536. Further
   * clients get HTTP status 503. Default 128.
   */
  uint32_t accept_backlog;
  /**
   * Limit of connections, including handshakes in progress. Further clients are refused. 0, the
   * default, sets no limit.
   */
  uint32_t max_sessions;
  /** Options of each connection; NULL for the defaults. */
  const wtgram_connection_options *connection;
  /** Options of each session's transport; NULL for the defaults. */
  const wtgram_transport_options *transport;
} wtgram_listen_options;

/** For bindings: `wtgram_listen_options_init` for a struct of `size` bytes. */
void wtgram_listen_options_init_sized(wtgram_listen_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_listen_options_init(wtgram_listen_options *options)
{
  wtgram_listen_options_init_sized(options, sizeof *options);
}

/**
 * Binds a UDP socket and starts to listen.
 *
 * @param options Options; NULL for the defaults.
 * @param server Gets the handle. Free it with `wtgram_server_free`.
 * @param detail Buffer for an English sentence that explains a failure, shortened to fit and
 *   NUL-terminated; NULL with 0 for none.
 * @param detail_capacity Size of `detail`, in bytes.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_IDENTITY`: the certificate or the key cannot be read or used.
 * - `WTGRAM_ERROR_KEY_MISMATCH`: certificate and key do not match.
 * - `WTGRAM_ERROR_IO`: the address cannot be bound, or a thread cannot be started.
 * - `WTGRAM_ERROR_LIMIT_REACHED`: too many servers.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_server_listen(const wtgram_listen_options *options,
                                   wtgram_server *server,
                                   char *detail,
                                   size_t detail_capacity);

/**
 * Writes the address of the server, for example `"127.0.0.1:4433"` or `"[::]:4433"`.
 *
 * @param server The server.
 * @param text Buffer for the text and its final NUL.
 * @param capacity Size of `text`, in bytes.
 * @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_server_get_local_address(wtgram_server server,
                                              char *text,
                                              size_t capacity,
                                              size_t *length);

/** Stores the UDP port of the server. */
WTGRAM_MUST_USE wtgram_status wtgram_server_get_local_port(wtgram_server server, uint16_t *port);

/**
 * Stores the SHA-256 hash of the server's certificate. Browsers accept it in
 * `serverCertificateHashes`, clients of this library with `WTGRAM_TRUST_CERTIFICATE_HASHES`.
 *
 * @param server The server.
 * @param hash Gets `WTGRAM_CERTIFICATE_HASH_LENGTH` bytes.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_server_get_certificate_hash(wtgram_server server,
                                                 uint8_t *hash);

/**
 * Waits for the next established session.
 *
 * Accept in time: a session counts as established for its client before you accept it. Its
 * datagrams wait in its transport, within the limits of `wtgram_transport_options`, and the oldest
 * are dropped when these are full. When `accept_backlog` sessions wait, further clients are turned
 * away. Sessions that end before you accept them are not returned. Several threads may wait; each
 * session goes to one of them.
 *
 * @param server The server.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param session Gets the handle. Free it with `wtgram_session_free`.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_CLOSED`: the server is closed.
 * - `WTGRAM_ERROR_LIMIT_REACHED`: too many sessions.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_server_accept(wtgram_server server,
                                   int64_t timeout_us,
                                   wtgram_session *session);

/**
 * Stops listening and closes all sessions of the server with code 0. Returns at once; the peers
 * are told in the background. Handles of sessions stay valid until you free them. Closing again
 * has no effect.
 */
wtgram_status wtgram_server_close(wtgram_server server);

/**
 * Closes the server if it is open and releases its handle. Handles that are zero or released are
 * ignored.
 */
void wtgram_server_free(wtgram_server server);

/** @} */

/* ============================================================================================ *
 * 6. Session                                                                                   *
 * ============================================================================================ */

/**
 * @defgroup session Session
 * A session is a WebTransport connection to one peer. A client gets it from
 * `wtgram_session_connect`, a server from `wtgram_server_accept`. Its datagrams are sent and
 * received through its transport: `wtgram_session_get_transport`. At the end call
 * `wtgram_session_free`.
 * @{
 */

/**
 * @name Client
 * A client connects to an `https` URL. Call order: `wtgram_connect_options_init`, set how to trust
 * the server, `wtgram_session_connect`.
 * @{
 */

/** How a client verifies the server. */
typedef enum {
  /** By the system's certificate authorities. The default. */
  WTGRAM_TRUST_SYSTEM = 0,
  /** Only by the given certificate authorities. */
  WTGRAM_TRUST_CA = 1,
  /**
   * By one of the given SHA-256 hashes of the certificate, which must be ECDSA P-256 and valid
   * for at most 14 days (W3C WebTransport, `serverCertificateHashes`). Names are not checked.
   */
  WTGRAM_TRUST_CERTIFICATE_HASHES = 2,
  /** Not at all. Only for tests: an attacker on the path can read and change everything. */
  WTGRAM_TRUST_INSECURE_NO_VERIFICATION = 3,
} wtgram_trust;

/** A header field of the client's request. */
typedef struct {
  /** Name, an HTTP token. */
  const char *name;
  /** Value. */
  const char *value;
} wtgram_header;

/** Options of a client session. */
typedef struct {
  /** Size of this struct, set by `wtgram_connect_options_init`. */
  size_t struct_size;
  /**
   * Deadline for name resolution, handshake, SETTINGS and CONNECT together, in microseconds.
   * Default 10 s.
   */
  int64_t timeout_us;
  /** A `wtgram_trust`. */
  uint32_t trust;
  /** Reserved; 0. */
  uint32_t reserved;
  /** PEM file of certificate authorities, for `WTGRAM_TRUST_CA`. */
  const char *ca_file;
  /** The same as bytes; used if `ca_file` is NULL. */
  const uint8_t *ca_pem;
  /** Length of `ca_pem`, in bytes. */
  size_t ca_pem_length;
  /**
   * SHA-256 hashes of 32 bytes each, one after the other, for `WTGRAM_TRUST_CERTIFICATE_HASHES`.
   */
  const uint8_t *certificate_hashes;
  /** Number of hashes. */
  size_t certificate_hashes_count;
  /**
   * Additional header fields, sent in this order. Names may repeat; names that start with `:`
   * are refused.
   */
  const wtgram_header *headers;
  /** Number of header fields. */
  size_t headers_count;
  /**
   * Local IP address to send from; NULL, the default, lets the system choose. Sessions with the
   * same address share a UDP socket.
   */
  const char *bind_host;
  /** Options of the connection; NULL for the defaults. */
  const wtgram_connection_options *connection;
} wtgram_connect_options;

/** For bindings: `wtgram_connect_options_init` for a struct of `size` bytes. */
void wtgram_connect_options_init_sized(wtgram_connect_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_connect_options_init(wtgram_connect_options *options)
{
  wtgram_connect_options_init_sized(options, sizeof *options);
}

/**
 * Connects to the server at `url` and waits until the session is established or the attempt
 * failed.
 *
 * @param url `https://host[:port][/path][?query]`.
 * @param options Options; NULL for the defaults.
 * @param session Gets the handle. Free it with `wtgram_session_free`.
 * @param detail Buffer for an English sentence that explains a failure, shortened to fit and
 *   NUL-terminated; NULL with 0 for none.
 * @param detail_capacity Size of `detail`, in bytes.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_URL`: the URL cannot be used.
 * - `WTGRAM_ERROR_NAME_NOT_RESOLVED`: the host name has no address.
 * - `WTGRAM_ERROR_CONNECT_TIMEOUT`: nothing answered in time. No server on this port looks the
 *   same.
 * - `WTGRAM_ERROR_CONNECTION_REFUSED`: the server refused the QUIC connection.
 * - `WTGRAM_ERROR_CERTIFICATE_UNTRUSTED`, `WTGRAM_ERROR_CERTIFICATE_EXPIRED`,
 *   `WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH`, `WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH`: the
 *   certificate was not accepted.
 * - `WTGRAM_ERROR_TLS`: the handshake failed for another reason.
 * - `WTGRAM_ERROR_REJECTED`: the server answered with an HTTP status other than 2xx.
 * - `WTGRAM_ERROR_PROTOCOL`: the server does not speak WebTransport.
 * - `WTGRAM_ERROR_UNSUPPORTED`: the server does not accept datagrams.
 * - `WTGRAM_ERROR_IDENTITY`: the certificate authorities cannot be read.
 * - `WTGRAM_ERROR_IO`: the operating system refused a socket or a thread.
 * - `WTGRAM_ERROR_LIMIT_REACHED`: too many sessions.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_session_connect(const char *url,
                                     const wtgram_connect_options *options,
                                     wtgram_session *session,
                                     char *detail,
                                     size_t detail_capacity);

/** @} */

/** State of a session. */
typedef enum {
  /** The handshake is in progress. */
  WTGRAM_SESSION_CONNECTING = 0,
  /** The session is established. */
  WTGRAM_SESSION_CONNECTED = 1,
  /**
   * The session is established, and the peer asked to end it soon (GOAWAY or DRAIN). Datagrams
   * still flow.
   */
  WTGRAM_SESSION_DRAINING = 2,
  /** The session is closed. */
  WTGRAM_SESSION_CLOSED = 3,
} wtgram_session_state;

/**
 * Stores the state of the session.
 *
 * @param session The session.
 * @param state Gets a `wtgram_session_state`.
 */
WTGRAM_MUST_USE wtgram_status wtgram_session_get_state(wtgram_session session, uint32_t *state);

/** Stores the session id, which is the id of the CONNECT stream. */
WTGRAM_MUST_USE wtgram_status wtgram_session_get_id(wtgram_session session, uint64_t *id);

/**
 * Writes the path of the request with its query, for example `"/room?name=a"`.
 *
 * @param session The session.
 * @param text Buffer for the text and its final NUL.
 * @param capacity Size of `text`, in bytes.
 * @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_session_get_path(wtgram_session session,
                                      char *text,
                                      size_t capacity,
                                      size_t *length);

/**
 * Writes the current address of the peer, for example `"192.0.2.1:50000"`. It changes when the
 * peer changes its network.
 *
 * @param session The session.
 * @param text Buffer for the text and its final NUL.
 * @param capacity Size of `text`, in bytes.
 * @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_session_get_remote_address(wtgram_session session,
                                                char *text,
                                                size_t capacity,
                                                size_t *length);

/**
 * Writes the local address of the session, for example `"192.0.2.2:4433"`. The IP address is
 * `0.0.0.0` or `[::]` if the system does not report it.
 *
 * @param session The session.
 * @param text Buffer for the text and its final NUL.
 * @param capacity Size of `text`, in bytes.
 * @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_session_get_local_address(wtgram_session session,
                                               char *text,
                                               size_t capacity,
                                               size_t *length);

/**
 * Stores the handle of the session's transport. It is always the same and is released with the
 * session.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_session_get_transport(wtgram_session session,
                                           wtgram_transport *transport);

/**
 * Closes the session with code 0 if it is open, and releases its handle and the handle of its
 * transport. Calls that wait on them return `WTGRAM_ERROR_CLOSED`. Handles that are zero or
 * released are ignored.
 */
void wtgram_session_free(wtgram_session session);

/**
 * @name Closing a session
 * Either side closes a session with a code and a reason. The other side reads them after its calls
 * return `WTGRAM_ERROR_CLOSED`.
 * @{
 */

/**
 * Closes the session. This side is closed at once. Code and reason reach the peer in the
 * background, also if you free the handle right away. You can still receive what has arrived.
 * Closing again has no effect.
 *
 * @param session The session.
 * @param code Any number; the peer gets it.
 * @param reason UTF-8 text for the peer; NULL with length 0 for none.
 * @param reason_length Length of `reason` in bytes, at most 1024.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_ARGUMENT`: the reason is too long or not UTF-8.
 */
wtgram_status wtgram_session_close(wtgram_session session,
                                   uint32_t code,
                                   const char *reason,
                                   size_t reason_length);

/** Who closed a session. */
typedef enum {
  /** This side. */
  WTGRAM_CLOSED_BY_LOCAL = 0,
  /** The peer. */
  WTGRAM_CLOSED_BY_PEER = 1,
  /** The connection was lost, timed out, or broken by a protocol error. */
  WTGRAM_CLOSED_BY_TRANSPORT = 2,
} wtgram_closed_by;

/** Size of a close reason with its NUL, in bytes. */
#define WTGRAM_CLOSE_REASON_CAPACITY 1025

/** Why a session is closed. */
typedef struct {
  /** Size of this struct, set by `wtgram_close_info_init`. */
  size_t struct_size;
  /** A `wtgram_closed_by`. */
  uint32_t closed_by;
  /** Code given by the side that closed the session; 0 if there is none. */
  uint32_t code;
  /** QUIC or HTTP/3 error code if `closed_by` is `WTGRAM_CLOSED_BY_TRANSPORT`. */
  uint64_t transport_error;
  /** Length of `reason` without its NUL, in bytes. */
  size_t reason_length;
  /**
   * Reason given by the side that closed the session, or what happened to the connection. UTF-8,
   * NUL-terminated.
   */
  char reason[WTGRAM_CLOSE_REASON_CAPACITY];
} wtgram_close_info;

/** For bindings: `wtgram_close_info_init` for a struct of `size` bytes. */
void wtgram_close_info_init_sized(wtgram_close_info *info, size_t size);

/** Fills `*info` with its size and zeroes. NULL is ignored. */
static inline void wtgram_close_info_init(wtgram_close_info *info)
{
  wtgram_close_info_init_sized(info, sizeof *info);
}

/**
 * Waits until the session is closed. (The close message of this side may still be on its way;
 * `wtgram_shutdown` waits for it.)
 *
 * @param session The session.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param info Gets the reason; prepared by `wtgram_close_info_init`.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_session_wait_closed(wtgram_session session,
                                         int64_t timeout_us,
                                         wtgram_close_info *info);

/**
 * Stores why the session is closed.
 *
 * @param session The session.
 * @param info Gets the reason; prepared by `wtgram_close_info_init`.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the session is not closed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_session_get_close_info(wtgram_session session,
                                            wtgram_close_info *info);

/** @} */

/**
 * @name Session statistics
 * What QUIC measures on the connection of a session.
 * @{
 */

/** Statistics of a session's connection. */
typedef struct {
  /** Size of this struct, set by `wtgram_session_stats_init`. */
  size_t struct_size;
  /** Smoothed round-trip time, in microseconds. */
  int64_t rtt_us;
  /** Lowest round-trip time measured, in microseconds. */
  int64_t min_rtt_us;
  /** Congestion window, in bytes. */
  uint64_t congestion_window_bytes;
  /** QUIC packets sent. */
  uint64_t packets_sent;
  /** QUIC packets lost. */
  uint64_t packets_lost;
  /** Bytes in lost packets. */
  uint64_t bytes_lost;
  /** Bytes of UDP payload sent. */
  uint64_t udp_bytes_sent;
  /** Bytes of UDP payload received. */
  uint64_t udp_bytes_received;
  /** UDP datagrams sent. */
  uint64_t udp_datagrams_sent;
  /** UDP datagrams received. */
  uint64_t udp_datagrams_received;
  /** How often the congestion window was reduced. */
  uint64_t congestion_events;
  /** QUIC DATAGRAM frames sent. */
  uint64_t datagram_frames_sent;
  /** QUIC DATAGRAM frames received. */
  uint64_t datagram_frames_received;
  /** Streams that the peer opened and the library refused, because it carries datagrams only. */
  uint64_t peer_streams_refused;
  /** Largest UDP payload the path carries, in bytes. */
  uint32_t path_mtu_bytes;
  /** Reserved; 0. */
  uint32_t reserved;
} wtgram_session_stats;

/** For bindings: `wtgram_session_stats_init` for a struct of `size` bytes. */
void wtgram_session_stats_init_sized(wtgram_session_stats *stats, size_t size);

/** Fills `*stats` with its size and zeroes. NULL is ignored. */
static inline void wtgram_session_stats_init(wtgram_session_stats *stats)
{
  wtgram_session_stats_init_sized(stats, sizeof *stats);
}

/**
 * Stores the current statistics of the connection; after its end, the last ones.
 *
 * @param session The session.
 * @param stats Gets the statistics; prepared by `wtgram_session_stats_init`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_session_get_stats(wtgram_session session,
                                       wtgram_session_stats *stats);

/** @} */

/** @} */

/* ============================================================================================ *
 * 7. Transport                                                                                 *
 * ============================================================================================ */

/**
 * @defgroup transport Transport
 * The transport of a session has a queue for outgoing and one for incoming datagrams. Sending
 * copies a datagram into the first; the library hands it to QUIC as fast as the path allows.
 * Receiving takes datagrams from the second.
 * @{
 */

/**
 * Stores the largest payload that can be sent now. It follows the path's MTU (RFC 9221, RFC 8899).
 *
 * @param transport The transport.
 * @param bytes Gets the size in bytes.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_UNSUPPORTED`: the peer does not accept datagrams.
 * - `WTGRAM_ERROR_CLOSED`: the transport is closed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_max_datagram_size(wtgram_transport transport,
                                                     size_t *bytes);

/**
 * Stores whether the transport or its session is closed. You can still receive what has arrived.
 */
WTGRAM_MUST_USE wtgram_status wtgram_transport_is_closed(wtgram_transport transport, bool *closed);

/** Stores whether the transport is open or still has datagrams to receive. */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_is_readable(wtgram_transport transport,
                                           bool *readable);

/** Stores whether the transport is open for sending. */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_is_writable(wtgram_transport transport,
                                           bool *writable);

/**
 * Stores the sequence number of the next datagram to send, which is the number of datagrams
 * submitted so far.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_send_sequence(wtgram_transport transport,
                                                 uint64_t *sequence);

/**
 * Stores the sequence number of the next datagram to arrive, which is the number of datagrams that
 * arrived so far.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_receive_sequence(wtgram_transport transport,
                                                    uint64_t *sequence);

/**
 * Stores the handle of the transport's session.
 *
 * @param transport The transport.
 * @param session Gets the handle; do not free it twice.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_session(wtgram_transport transport,
                                           wtgram_session *session);

/** Stores the id of the transport's session, which is the id of the CONNECT stream. */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_session_id(wtgram_transport transport,
                                              uint64_t *id);

/**
 * Closes the transport but not its session. Calls that wait on it return `WTGRAM_ERROR_CLOSED`.
 * You can still receive what has arrived. Queued datagrams are dropped and counted in
 * `send_failed`; later ones from the peer in `receive_dropped_by_quic`. Closing again has no
 * effect.
 */
wtgram_status wtgram_transport_close(wtgram_transport transport);

/**
 * @name Sending datagrams
 * `wtgram_transport_send` with NULL options sends at priority 0 without a TTL. Use
 * `wtgram_transport_send_batch` for many datagrams: it costs one call and one wake-up.
 * @{
 */

/** How to send a datagram. */
typedef struct {
  /** Size of this struct, set by `wtgram_send_options_init`. */
  size_t struct_size;
  /**
   * Time to live in microseconds: the datagram is dropped when it has waited this long. 0, the
   * default, sets no limit.
   */
  int64_t ttl_us;
  /**
   * How long to wait for space under `WTGRAM_FULL_WAIT`, in microseconds: `WTGRAM_FOREVER`, the
   * default, or 0. One timeout for a whole batch.
   */
  int64_t timeout_us;
  /** If not 0, the outcome of the datagram is reported with this number. Default 0. */
  uint64_t report_id;
  /** 0 (default), 1 or 2; other values are clamped. Higher priorities are sent first. */
  int32_t priority;
  /** Reserved; 0. */
  uint32_t reserved;
} wtgram_send_options;

/** For bindings: `wtgram_send_options_init` for a struct of `size` bytes. */
void wtgram_send_options_init_sized(wtgram_send_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_send_options_init(wtgram_send_options *options)
{
  wtgram_send_options_init_sized(options, sizeof *options);
}

/** A datagram to send. */
typedef struct {
  /** First byte; ignored if `length` is 0. */
  const uint8_t *data;
  /** Size in bytes. */
  size_t length;
} wtgram_slice;

/**
 * Sends one datagram: copies it into the outgoing queue. An empty datagram is valid.
 *
 * When the queue is full, the transport's `wtgram_full_policy` decides: by default the oldest
 * datagram of the lowest priority is dropped. Datagrams are not retransmitted and not
 * acknowledged.
 *
 * @param transport The transport.
 * @param data First byte of the payload; ignored if `length` is 0.
 * @param length Size of the payload in bytes, at most `wtgram_transport_get_max_datagram_size`.
 * @param options Options; NULL for the defaults.
 *
 * @return
 * - `WTGRAM_OK`: the datagram is queued.
 * - `WTGRAM_ERROR_TOO_LARGE`: it is larger than the path carries now.
 * - `WTGRAM_ERROR_QUEUE_FULL`: the policy is to reject, or all queued datagrams have a higher
 *   priority.
 * - `WTGRAM_ERROR_TIMED_OUT`, `WTGRAM_ERROR_WOULD_BLOCK`: there was no space in time under
 *   `WTGRAM_FULL_WAIT`, or the TTL passed first (TIMED_OUT).
 * - `WTGRAM_ERROR_UNSUPPORTED`: the peer does not accept datagrams.
 * - `WTGRAM_ERROR_LIMIT_REACHED`: too many outcomes are pending or not fetched.
 * - `WTGRAM_ERROR_CLOSED`: the transport is closed.
 *
 * With a `report_id` there is exactly one outcome after `WTGRAM_OK`, `WTGRAM_ERROR_TOO_LARGE`,
 * `WTGRAM_ERROR_QUEUE_FULL` and `WTGRAM_ERROR_TIMED_OUT`. After any other status the datagram was
 * not accepted, has no outcome and is not counted.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_send(wtgram_transport transport,
                                    const uint8_t *data,
                                    size_t length,
                                    const wtgram_send_options *options);

/**
 * Sends one datagram like `wtgram_transport_send`, but never waits.
 *
 * @param transport The transport.
 * @param data First byte of the payload; ignored if `length` is 0.
 * @param length Size of the payload, in bytes.
 * @param options Options; NULL for the defaults.
 *
 * @return As `wtgram_transport_send`; `WTGRAM_ERROR_WOULD_BLOCK` if the queue is full under
 *   `WTGRAM_FULL_WAIT`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_try_send(wtgram_transport transport,
                                        const uint8_t *data,
                                        size_t length,
                                        const wtgram_send_options *options);

/**
 * Sends many datagrams in one call. If one fails, the others are sent all the same.
 *
 * @param transport The transport.
 * @param datagrams The datagrams.
 * @param count Number of datagrams; 0 is valid.
 * @param options Options of each datagram; NULL for the defaults.
 * @param results NULL, or an array of `count` elements that get the status of each datagram.
 * @param accepted Gets the number of datagrams that were queued, whatever the status.
 *
 * @return The status of the first datagram that failed, or `WTGRAM_OK`. If the handle or an
 *   argument is invalid, nothing is sent.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_send_batch(wtgram_transport transport,
                                          const wtgram_slice *datagrams,
                                          size_t count,
                                          const wtgram_send_options *options,
                                          wtgram_status *results,
                                          size_t *accepted);

/**
 * Sends JSON text as one datagram, without insignificant white space. The text must be strict JSON
 * (RFC 8259): UTF-8, no NaN or Infinity, no lone surrogates, nothing after the value, at most 127
 * levels. Digits and the order of members are kept.
 *
 * @param transport The transport.
 * @param text The text; it needs no NUL.
 * @param length Length of the text in bytes, at most 1 MiB.
 * @param options Options; NULL for the defaults.
 * @param detail Buffer for an English sentence that explains a failure, shortened to fit and
 *   NUL-terminated; NULL with 0 for none.
 * @param detail_capacity Size of `detail`, in bytes.
 *
 * @return As `wtgram_transport_send`, and
 * - `WTGRAM_ERROR_SERIALIZATION`: the text is not acceptable JSON. `detail` names line and column.
 * - `WTGRAM_ERROR_TOO_LARGE`: it does not fit even without white space.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_send_json(wtgram_transport transport,
                                         const char *text,
                                         size_t length,
                                         const wtgram_send_options *options,
                                         char *detail,
                                         size_t detail_capacity);

/** @} */

/**
 * @name Receiving datagrams
 * `wtgram_transport_receive` waits for one datagram, `wtgram_transport_receive_batch` takes all
 * that are there. Receive in time: a full queue drops its oldest datagram by default.
 * @{
 */

/**
 * Waits for the next datagram and copies it into `buffer`, which holds `capacity` bytes; stores
 * its length in `length`.
 *
 * Several threads may wait; each datagram goes to one of them.
 *
 * @param transport The transport.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param buffer Buffer for the payload.
 * @param capacity Size of `buffer`, in bytes.
 * @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the size needed. The datagram stays in the queue.
 * - `WTGRAM_ERROR_CLOSED`: the transport is closed and everything that arrived has been received.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_receive(wtgram_transport transport,
                                       int64_t timeout_us,
                                       uint8_t *buffer,
                                       size_t capacity,
                                       size_t *length);

/**
 * Receives like `wtgram_transport_receive`, but never waits.
 *
 * @param transport The transport.
 * @param buffer Buffer for the payload.
 * @param capacity Size of `buffer`, in bytes.
 * @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
 *
 * @return As `wtgram_transport_receive`; `WTGRAM_ERROR_WOULD_BLOCK` if no datagram is there.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_try_receive(wtgram_transport transport,
                                           uint8_t *buffer,
                                           size_t capacity,
                                           size_t *length);

/** A datagram in the arena of `wtgram_transport_receive_batch`. */
typedef struct {
  /** Position of its first byte in the arena. */
  uint64_t offset;
  /** Size in bytes. */
  uint64_t length;
  /**
   * Position in the order of arrival, counted from 0. Gaps are datagrams that were dropped after
   * arrival.
   */
  uint64_t sequence;
  /** Time of arrival, Unix time in microseconds. */
  int64_t timestamp_us;
  /** Reserved; 0. */
  uint64_t reserved[2];
} wtgram_received_datagram;

/**
 * Waits for a datagram, then takes all that are there and fit.
 *
 * @param transport The transport.
 * @param timeout_us Longest wait for the first datagram in microseconds, `WTGRAM_FOREVER`, or 0 to
 *   not wait.
 * @param arena Buffer for the payloads, which are stored one after the other.
 * @param arena_capacity Size of `arena`, in bytes.
 * @param received Array that gets the position of each payload.
 * @param capacity Number of elements in `received`, at least 1; one call takes at most 1024
 *   datagrams.
 * @param count Gets the number of datagrams.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: not even the first datagram fits. `received[0].length` is the
 *   size needed; nothing is lost.
 * - `WTGRAM_ERROR_CLOSED`: the transport is closed and everything that arrived has been received.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_receive_batch(wtgram_transport transport,
                                             int64_t timeout_us,
                                             uint8_t *arena,
                                             size_t arena_capacity,
                                             wtgram_received_datagram *received,
                                             size_t capacity,
                                             size_t *count);

/** What is known about a received datagram. */
typedef struct {
  /** Size of this struct, set by `wtgram_datagram_metadata_init`. */
  size_t struct_size;
  /** Time of arrival, Unix time in microseconds. */
  int64_t timestamp_us;
  /** Size in bytes. */
  uint64_t size;
  /**
   * Position in the order of arrival, counted from 0. Gaps are datagrams that were dropped after
   * arrival.
   */
  uint64_t sequence;
  /** Time from arrival to this call, in microseconds of a monotonic clock. */
  int64_t age_us;
  /** How long the call waited, in microseconds. */
  int64_t waited_us;
  /** First 8 hex digits of the payload's SHA-256 and a NUL; empty if not requested. */
  char checksum[16];
} wtgram_datagram_metadata;

/** For bindings: `wtgram_datagram_metadata_init` for a struct of `size` bytes. */
void wtgram_datagram_metadata_init_sized(wtgram_datagram_metadata *metadata, size_t size);

/** Fills `*metadata` with its size and zeroes. NULL is ignored. */
static inline void wtgram_datagram_metadata_init(wtgram_datagram_metadata *metadata)
{
  wtgram_datagram_metadata_init_sized(metadata, sizeof *metadata);
}

/**
 * Receives like `wtgram_transport_receive` and stores what is known about the datagram.
 *
 * @param transport The transport.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param with_checksum Whether to compute the checksum.
 * @param buffer Buffer for the payload.
 * @param capacity Size of `buffer`, in bytes.
 * @param metadata Gets the metadata; prepared by `wtgram_datagram_metadata_init`. Its `size` is
 *   the length of the payload.
 *
 * @return As `wtgram_transport_receive`; on `WTGRAM_ERROR_BUFFER_TOO_SMALL` `metadata->size` is
 *   the size needed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_receive_with_metadata(wtgram_transport transport,
                                                     int64_t timeout_us,
                                                     bool with_checksum,
                                                     uint8_t *buffer,
                                                     size_t capacity,
                                                     wtgram_datagram_metadata *metadata);

/**
 * Waits for the next datagram and writes it as JSON text without insignificant white space. It is
 * checked as in `wtgram_transport_send_json`.
 *
 * @param transport The transport.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param text Buffer for the text and its final NUL.
 * @param capacity Size of `text`, in bytes.
 * @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
 * @param detail Buffer for an English sentence that explains a failure, shortened to fit and
 *   NUL-terminated; NULL with 0 for none.
 * @param detail_capacity Size of `detail`, in bytes.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_SERIALIZATION`: the datagram is not acceptable JSON. It is removed and lost, so
 *   that it cannot block those behind it; `detail` names line and column.
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed. The datagram stays in the
 *   queue.
 * - `WTGRAM_ERROR_CLOSED`: the transport is closed and everything that arrived has been received.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_receive_json(wtgram_transport transport,
                                            int64_t timeout_us,
                                            char *text,
                                            size_t capacity,
                                            size_t *length,
                                            char *detail,
                                            size_t detail_capacity);

/** @} */

/**
 * @name Outcomes
 * Datagrams that were sent with a `report_id` have an outcome, which says whether they were handed
 * to QUIC or why not.
 * @{
 */

/** What became of a datagram that was sent. */
typedef enum {
  /** Handed to QUIC. Datagrams are not acknowledged, so nobody knows whether it arrives. */
  WTGRAM_OUTCOME_SENT = 1,
  /** Dropped because its TTL or the outgoing max age passed. */
  WTGRAM_OUTCOME_EXPIRED = 2,
  /** Dropped to make space for a newer one. */
  WTGRAM_OUTCOME_EVICTED = 3,
  /** Rejected because the queue was full. */
  WTGRAM_OUTCOME_REJECTED = 4,
  /** Dropped because it is larger than the path carries. */
  WTGRAM_OUTCOME_TOO_LARGE = 5,
  /** Refused by QUIC. */
  WTGRAM_OUTCOME_FAILED = 6,
  /** Dropped by `wtgram_transport_clear_send_buffer`. */
  WTGRAM_OUTCOME_CLEARED = 7,
  /** Dropped because the transport closed. */
  WTGRAM_OUTCOME_CLOSED = 8,
} wtgram_outcome_kind;

/** The outcome of a datagram. */
typedef struct {
  /** The `report_id` it was sent with. */
  uint64_t report_id;
  /** A `wtgram_outcome_kind`. */
  uint32_t kind;
  /** Reserved; 0. */
  uint32_t reserved;
} wtgram_outcome;

/**
 * Waits for the next outcome of a datagram that was sent with a `report_id`. Outcomes are returned
 * once, in the order in which they happened.
 *
 * Fetch them: at most `outcome_capacity` are kept, and when as many are pending or not fetched,
 * sending with a `report_id` fails with `WTGRAM_ERROR_LIMIT_REACHED`. Several threads may wait.
 *
 * @param transport The transport.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param outcome Gets the outcome.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_CLOSED`: the transport is closed and every outcome has been fetched.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_next_outcome(wtgram_transport transport,
                                            int64_t timeout_us,
                                            wtgram_outcome *outcome);

/**
 * Waits for an outcome, then takes all that are there and fit.
 *
 * @param transport The transport.
 * @param timeout_us Longest wait for the first outcome in microseconds, `WTGRAM_FOREVER`, or 0 to
 *   not wait.
 * @param outcomes Array for the outcomes.
 * @param capacity Number of elements in `outcomes`, at least 1; one call takes at most 1024.
 * @param count Gets the number of outcomes.
 *
 * @return As `wtgram_transport_next_outcome`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_next_outcomes(wtgram_transport transport,
                                             int64_t timeout_us,
                                             wtgram_outcome *outcomes,
                                             size_t capacity,
                                             size_t *count);

/** @} */

/**
 * @name Settings of a transport
 * What can be changed while a transport runs. Changes apply at once, also to datagrams in the
 * queue.
 * @{
 */

/**
 * Stores the age at which outgoing datagrams are dropped.
 *
 * @param transport The transport.
 * @param max_age_us Gets the age in microseconds; 0 for no limit.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_outgoing_max_age(wtgram_transport transport,
                                                    int64_t *max_age_us);

/**
 * Sets the age at which outgoing datagrams are dropped. Queued datagrams that are older are
 * dropped at once.
 *
 * @param transport The transport.
 * @param max_age_us Age in microseconds; 0 for no limit.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_set_outgoing_max_age(wtgram_transport transport,
                                                    int64_t max_age_us);

/**
 * Stores the age at which incoming datagrams are dropped.
 *
 * @param transport The transport.
 * @param max_age_us Gets the age in microseconds; 0 for no limit.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_incoming_max_age(wtgram_transport transport,
                                                    int64_t *max_age_us);

/**
 * Sets the age at which incoming datagrams are dropped. Queued datagrams that are older are
 * dropped at once.
 *
 * @param transport The transport.
 * @param max_age_us Age in microseconds; 0 for no limit.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_set_incoming_max_age(wtgram_transport transport,
                                                    int64_t max_age_us);

/**
 * Stores the limits of the outgoing queue.
 *
 * @param transport The transport.
 * @param max_datagrams Gets the limit in datagrams.
 * @param max_bytes Gets the limit in payload bytes.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_outgoing_limits(wtgram_transport transport,
                                                   uint64_t *max_datagrams,
                                                   uint64_t *max_bytes);

/**
 * Sets the limits of the outgoing queue. Under `WTGRAM_FULL_EVICT` datagrams beyond the new limits
 * are evicted at once; under the other policies they stay. A high-water mark at or above the old
 * or the new limit moves to the new limit.
 *
 * @param transport The transport.
 * @param max_datagrams Limit in datagrams, at least 1.
 * @param max_bytes Limit in payload bytes.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_set_outgoing_limits(wtgram_transport transport,
                                                   uint64_t max_datagrams,
                                                   uint64_t max_bytes);

/**
 * Stores the limits of the incoming queue.
 *
 * @param transport The transport.
 * @param max_datagrams Gets the limit in datagrams.
 * @param max_bytes Gets the limit in payload bytes.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_incoming_limits(wtgram_transport transport,
                                                   uint64_t *max_datagrams,
                                                   uint64_t *max_bytes);

/**
 * Sets the limits of the incoming queue. Under `WTGRAM_DROP_OLDEST` datagrams beyond the new
 * limits are dropped at once; under `WTGRAM_DROP_NEWEST` they stay.
 *
 * @param transport The transport.
 * @param max_datagrams Limit in datagrams, at least 1.
 * @param max_bytes Limit in payload bytes.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_set_incoming_limits(wtgram_transport transport,
                                                   uint64_t max_datagrams,
                                                   uint64_t max_bytes);

/**
 * Stores what happens to a datagram when the outgoing queue is full.
 *
 * @param transport The transport.
 * @param policy Gets a `wtgram_full_policy`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_outgoing_full_policy(wtgram_transport transport,
                                                        uint32_t *policy);

/**
 * Sets what happens to a datagram when the outgoing queue is full. It also applies to calls that
 * already wait for space.
 *
 * @param transport The transport.
 * @param policy A `wtgram_full_policy`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_set_outgoing_full_policy(wtgram_transport transport,
                                                        uint32_t policy);

/**
 * Stores which datagram is dropped when the incoming queue is full.
 *
 * @param transport The transport.
 * @param policy Gets a `wtgram_drop_policy`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_incoming_drop_policy(wtgram_transport transport,
                                                        uint32_t *policy);

/**
 * Sets which datagram is dropped when the incoming queue is full. It applies to datagrams that
 * arrive from now on.
 *
 * @param transport The transport.
 * @param policy A `wtgram_drop_policy`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_set_incoming_drop_policy(wtgram_transport transport,
                                                        uint32_t policy);

/** @} */

/**
 * @name Water marks
 * Marks of the outgoing queue between which a program stops and resumes sending.
 * @{
 */

/**
 * Water marks of the outgoing queue. The queue is high from the moment it reaches a high-water
 * mark until it is at or below both low-water marks. A poller reports `WTGRAM_READY_LOW_WATER`
 * while it is not high.
 */
typedef struct {
  /** Size of this struct, set by `wtgram_water_marks_init`. */
  size_t struct_size;
  /** High-water mark in datagrams. Default 100. */
  uint64_t high_datagrams;
  /** Low-water mark in datagrams, below the high one. Default 50. */
  uint64_t low_datagrams;
  /** High-water mark in payload bytes; `UINT64_MAX`, the default, for none. */
  uint64_t high_bytes;
  /** Low-water mark in payload bytes; `UINT64_MAX`, the default, for none. */
  uint64_t low_bytes;
} wtgram_water_marks;

/** For bindings: `wtgram_water_marks_init` for a struct of `size` bytes. */
void wtgram_water_marks_init_sized(wtgram_water_marks *marks, size_t size);

/** Fills `*marks` with the defaults. NULL is ignored. */
static inline void wtgram_water_marks_init(wtgram_water_marks *marks)
{
  wtgram_water_marks_init_sized(marks, sizeof *marks);
}

/**
 * Stores the water marks of the outgoing queue.
 *
 * @param transport The transport.
 * @param marks Gets the marks; prepared by `wtgram_water_marks_init`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_outgoing_water_marks(wtgram_transport transport,
                                                        wtgram_water_marks *marks);

/**
 * Sets the water marks of the outgoing queue. They apply at once.
 *
 * @param transport The transport.
 * @param marks The marks; NULL for the defaults, which do not depend on the queue's limits.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_ARGUMENT`: a high-water mark is 0.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_set_outgoing_water_marks(wtgram_transport transport,
                                                        const wtgram_water_marks *marks);

/**
 * Stores the high-water mark of the outgoing queue.
 *
 * @param transport The transport.
 * @param datagrams Gets the mark in datagrams.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_outgoing_high_water_mark(wtgram_transport transport,
                                                            uint64_t *datagrams);

/**
 * Sets the high-water mark of the outgoing queue in datagrams. The low-water mark becomes half of
 * it, and there are no marks in bytes.
 *
 * @param transport The transport.
 * @param datagrams The mark, at least 1.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_set_outgoing_high_water_mark(wtgram_transport transport,
                                                            uint64_t datagrams);

/** @} */

/**
 * @name Queue sizes
 * What the queues hold now.
 * @{
 */

/** Current size of both queues, and their limits. */
typedef struct {
  /** Size of this struct, set by `wtgram_queue_stats_init`. */
  size_t struct_size;
  /** In the outgoing queue. */
  uint64_t outgoing_datagrams;
  /** Payload bytes of those. */
  uint64_t outgoing_bytes;
  /** Limit of `outgoing_datagrams`. */
  uint64_t outgoing_max_datagrams;
  /** Limit of `outgoing_bytes`. */
  uint64_t outgoing_max_bytes;
  /** In the outgoing queue, by priority. */
  uint64_t outgoing_priority_datagrams[3];
  /** Payload bytes of those. */
  uint64_t outgoing_priority_bytes[3];
  /** In the incoming queue. */
  uint64_t incoming_datagrams;
  /** Payload bytes of those. */
  uint64_t incoming_bytes;
  /** Limit of `incoming_datagrams`. */
  uint64_t incoming_max_datagrams;
  /** Limit of `incoming_bytes`. */
  uint64_t incoming_max_bytes;
} wtgram_queue_stats;

/** For bindings: `wtgram_queue_stats_init` for a struct of `size` bytes. */
void wtgram_queue_stats_init_sized(wtgram_queue_stats *stats, size_t size);

/** Fills `*stats` with its size and zeroes. NULL is ignored. */
static inline void wtgram_queue_stats_init(wtgram_queue_stats *stats)
{
  wtgram_queue_stats_init_sized(stats, sizeof *stats);
}

/**
 * Stores the current size of both queues, as one consistent snapshot.
 *
 * @param transport The transport.
 * @param stats Gets the statistics; prepared by `wtgram_queue_stats_init`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_queue_stats(wtgram_transport transport,
                                               wtgram_queue_stats *stats);

/** Stores the number of datagrams in the outgoing queue. */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_send_buffer_size(wtgram_transport transport,
                                                    uint64_t *datagrams);

/** Stores the number of datagrams in the incoming queue. */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_receive_buffer_size(wtgram_transport transport,
                                                       uint64_t *datagrams);

/**
 * Drops all datagrams of the outgoing queue and counts them as cleared. Datagrams that QUIC
 * already has are still sent.
 *
 * @param transport The transport.
 * @param cleared Gets the number of datagrams.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_clear_send_buffer(wtgram_transport transport,
                                                 uint64_t *cleared);

/**
 * Drops all datagrams of the incoming queue and counts them as cleared.
 *
 * @param transport The transport.
 * @param cleared Gets the number of datagrams.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_clear_receive_buffer(wtgram_transport transport,
                                                    uint64_t *cleared);

/** @} */

/**
 * @name Transport statistics
 * Every datagram is counted exactly once. The library also counts what QUIC drops.
 * @{
 */

/**
 * Statistics of a transport, as one consistent snapshot.
 *
 * For datagrams and for bytes, `handed_in` is the sum of `sent`, `send_expired`, `send_evicted`,
 * `send_rejected`, `send_too_large`, `send_failed`, `send_cleared` and `send_queued`; `received` is
 * the sum of `delivered`, `receive_expired`, `receive_dropped_full`, `receive_cleared` and
 * `receive_queued`.
 */
typedef struct {
  /** Size of this struct, set by `wtgram_transport_stats_init`. */
  size_t struct_size;
  /** Id of the session. */
  uint64_t session_id;
  /** Time at which the transport was created, Unix time in microseconds. */
  int64_t created_at_us;
  /** Datagrams submitted, whatever became of them. */
  uint64_t handed_in;
  /** Payload bytes of those. */
  uint64_t handed_in_bytes;
  /** Handed to QUIC. */
  uint64_t sent;
  /** Payload bytes of those. */
  uint64_t sent_bytes;
  /** Dropped before sending because of their age. */
  uint64_t send_expired;
  /** Payload bytes of those. */
  uint64_t send_expired_bytes;
  /** Dropped to make space for newer ones. */
  uint64_t send_evicted;
  /** Payload bytes of those. */
  uint64_t send_evicted_bytes;
  /** Rejected because the queue was full. */
  uint64_t send_rejected;
  /** Payload bytes of those. */
  uint64_t send_rejected_bytes;
  /** Refused because they were larger than the path carried. */
  uint64_t send_too_large;
  /** Payload bytes of those. */
  uint64_t send_too_large_bytes;
  /** Refused by QUIC, or in the queue when the transport closed. */
  uint64_t send_failed;
  /** Payload bytes of those. */
  uint64_t send_failed_bytes;
  /** Dropped by a `clear` function. */
  uint64_t send_cleared;
  /** Payload bytes of those. */
  uint64_t send_cleared_bytes;
  /** In the outgoing queue. */
  uint64_t send_queued;
  /** Payload bytes of those. */
  uint64_t send_queued_bytes;
  /**
   * Part of `sent` that QUIC dropped before sending, because the path MTU shrank or the
   * connection ended.
   */
  uint64_t sent_dropped_by_quic;
  /**
   * Datagrams that arrived for the queue of the transport, or for a reliability layer or
   * structured transport whose queue was full.
   */
  uint64_t received;
  /** Payload bytes of those. */
  uint64_t received_bytes;
  /** Received by the program. */
  uint64_t delivered;
  /** Payload bytes of those. */
  uint64_t delivered_bytes;
  /** Dropped after arrival because of their age. */
  uint64_t receive_expired;
  /** Payload bytes of those. */
  uint64_t receive_expired_bytes;
  /**
   * Dropped because the queue was full: that of the transport, a reliability layer or a
   * structured transport.
   */
  uint64_t receive_dropped_full;
  /** Payload bytes of those. */
  uint64_t receive_dropped_full_bytes;
  /** Dropped by a `clear` function. */
  uint64_t receive_cleared;
  /** Payload bytes of those. */
  uint64_t receive_cleared_bytes;
  /** In the incoming queue. */
  uint64_t receive_queued;
  /** Payload bytes of those. */
  uint64_t receive_queued_bytes;
  /** Taken by a reliability layer or structured transport. Not part of `received`. */
  uint64_t receive_routed;
  /** Payload bytes of those. */
  uint64_t receive_routed_bytes;
  /**
   * Not part of `received`: dropped in QUIC's receive buffer, before the client requested the
   * session, or after the transport was closed.
   */
  uint64_t receive_dropped_by_quic;
  /** Not part of `received`: dropped because they carried the id of another session. */
  uint64_t receive_foreign;
  /** `sent`. */
  uint64_t datagrams_sent;
  /** `sent_bytes`. */
  uint64_t bytes_sent;
  /** `send_too_large` + `send_failed` + `send_rejected`. */
  uint64_t send_failures;
  /** `send_expired` + `send_evicted` + `send_cleared`. */
  uint64_t send_drops;
  /** `delivered` + `receive_routed`. */
  uint64_t datagrams_received;
  /** `delivered_bytes` + `receive_routed_bytes`. */
  uint64_t bytes_received;
  /** `receive_expired` + `receive_dropped_full` + `receive_cleared` + `receive_dropped_by_quic`. */
  uint64_t receive_drops;
  /** `receive_foreign`. */
  uint64_t receive_errors;
  /**
   * Time spent in send calls, in microseconds. In a quick succession of calls that do not wait,
   * one in eight is measured and counts for all.
   */
  int64_t total_send_time_us;
  /** Longest of those, in microseconds. */
  int64_t max_send_time_us;
  /**
   * Time spent waiting in receive calls that returned something, in microseconds; includes
   * reliability layers and structured transports over this transport.
   */
  int64_t total_receive_time_us;
  /** Longest of those, in microseconds. */
  int64_t max_receive_time_us;
  /**
   * Payload bytes of the smallest datagram of `datagrams_sent` and `datagrams_received`; 0 with
   * none.
   */
  uint64_t min_datagram_size;
  /**
   * Payload bytes of the largest datagram of `datagrams_sent` and `datagrams_received`; 0 with
   * none.
   */
  uint64_t max_datagram_size;
  /** `bytes_sent` + `bytes_received`. */
  uint64_t total_datagram_size;
  /** `total_datagram_size` over `datagrams_sent` + `datagrams_received`; 0 with none. */
  double avg_datagram_size;
  /** `total_send_time_us` over `datagrams_sent`; 0 with none. */
  double avg_send_time_us;
  /** `total_receive_time_us` over `datagrams_received`; 0 with none. */
  double avg_receive_time_us;
  /** `datagrams_sent` over `datagrams_sent` + `send_failures`; 1 with none. */
  double send_success_rate;
  /** `datagrams_received` over `datagrams_received` + `receive_errors`; 1 with none. */
  double receive_success_rate;
  /** Outcomes that were not fetched. */
  uint64_t outcomes_waiting;
  /** Time since the last datagram arrived, or since the transport was created, in microseconds. */
  int64_t silence_us;
  /** Smoothed round-trip time of the connection, in microseconds. */
  int64_t rtt_us;
  /** Congestion window of the connection, in bytes. */
  uint64_t congestion_window_bytes;
  /** QUIC packets sent on the connection. */
  uint64_t packets_sent;
  /** QUIC packets lost on the connection. */
  uint64_t packets_lost;
} wtgram_transport_stats;

/** For bindings: `wtgram_transport_stats_init` for a struct of `size` bytes. */
void wtgram_transport_stats_init_sized(wtgram_transport_stats *stats, size_t size);

/** Fills `*stats` with its size and zeroes. NULL is ignored. */
static inline void wtgram_transport_stats_init(wtgram_transport_stats *stats)
{
  wtgram_transport_stats_init_sized(stats, sizeof *stats);
}

/**
 * Stores the statistics of the transport and of its connection.
 *
 * @param transport The transport.
 * @param stats Gets the statistics; prepared by `wtgram_transport_stats_init`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_stats(wtgram_transport transport,
                                         wtgram_transport_stats *stats);

/** @} */

/**
 * @name Heartbeat
 * A transport can send heartbeats and notice when its peer is silent.
 * @{
 */

/** Length of the longest heartbeat, in bytes. */
#define WTGRAM_HEARTBEAT_MAX_LENGTH 30

/** Options of a transport's heartbeat. */
typedef struct {
  /** Size of this struct, set by `wtgram_heartbeat_options_init`. */
  size_t struct_size;
  /** Time between heartbeats in microseconds, at least 1000. Default 30 s. */
  int64_t interval_us;
  /**
   * The peer counts as silent when no datagram of any kind arrived for this many intervals; 0,
   * the default, disables the check.
   */
  uint32_t silent_after_intervals;
  /** Reserved; 0. */
  uint32_t reserved;
} wtgram_heartbeat_options;

/** For bindings: `wtgram_heartbeat_options_init` for a struct of `size` bytes. */
void wtgram_heartbeat_options_init_sized(wtgram_heartbeat_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_heartbeat_options_init(wtgram_heartbeat_options *options)
{
  wtgram_heartbeat_options_init_sized(options, sizeof *options);
}

/**
 * Sends a heartbeat now and in each interval, until `wtgram_transport_stop_heartbeat` or the end
 * of the transport. Heartbeats have priority 1. The peer receives them like any datagram. If a
 * heartbeat runs already, it takes the new options.
 *
 * If the peer is silent, `wtgram_transport_is_peer_silent`, `wtgram_transport_diagnose` and a
 * poller (`WTGRAM_READY_PEER_SILENT`) say so, until something arrives.
 *
 * @param transport The transport.
 * @param options Options; NULL for the defaults.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_ARGUMENT`: the interval is too short.
 * - `WTGRAM_ERROR_CLOSED`: the transport is closed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_start_heartbeat(wtgram_transport transport,
                                               const wtgram_heartbeat_options *options);

/** Stops the heartbeat and the check for a silent peer. Has no effect if no heartbeat runs. */
wtgram_status wtgram_transport_stop_heartbeat(wtgram_transport transport);

/** Stores whether the peer is silent (see `wtgram_heartbeat_options`). */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_is_peer_silent(wtgram_transport transport,
                                              bool *silent);

/**
 * Writes the payload of a heartbeat: `HEARTBEAT:` and the Unix time in seconds, as decimal ASCII.
 *
 * @param buffer Buffer for the payload; `WTGRAM_HEARTBEAT_MAX_LENGTH` bytes are always enough.
 * @param capacity Size of `buffer`, in bytes.
 * @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the size needed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_datagram_write_heartbeat(uint8_t *buffer,
                                              size_t capacity,
                                              size_t *length);

/**
 * Stores whether a payload starts like a heartbeat. The time in it is not checked.
 *
 * @param data First byte of the payload; ignored if `length` is 0.
 * @param length Size of the payload, in bytes.
 * @param heartbeat Gets the answer.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_datagram_is_heartbeat(const uint8_t *data,
                                           size_t length,
                                           bool *heartbeat);

/** @} */

/**
 * @name Diagnosis
 * Reports about a transport as JSON: findings for programs, all figures for people.
 * @{
 */

/**
 * Writes what looks wrong, as a JSON array of objects with `code` (stable), `message` (English)
 * and `figure` (a number). The array is empty if nothing looks wrong.
 *
 * Codes: `low_send_success_rate` (below 0.9), `high_drop_rate` (above 0.1),
 * `outgoing_queue_nearly_full`, `incoming_queue_nearly_full` (above 0.9 of the limit),
 * `high_send_latency` (above 100 ms on average), `transport_closed`, `session_not_ready`,
 * `session_closed`, `evictions`, `outgoing_expired`, `incoming_expired`, `inbound_drops`,
 * `inbound_drops_in_quic` (any), `shrunken_mtu`, `silent_peer`.
 *
 * @param transport The transport.
 * @param text Buffer for the text and its final NUL; 4096 bytes are enough for all findings.
 * @param capacity Size of `text`, in bytes.
 * @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_diagnose(wtgram_transport transport,
                                        char *text,
                                        size_t capacity,
                                        size_t *length);

/**
 * Writes all figures of the transport as a JSON object for people, with the groups `transport`,
 * `statistics`, `queues`, `configuration`, `sequences` and `session`. Programs use
 * `wtgram_transport_get_stats` instead.
 *
 * @param transport The transport.
 * @param text Buffer for the text and its final NUL; 8192 bytes are enough.
 * @param capacity Size of `text`, in bytes.
 * @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_debug_state(wtgram_transport transport,
                                               char *text,
                                               size_t capacity,
                                               size_t *length);

/** @} */

/**
 * @name Throughput test
 * Measures how many datagrams the path to the peer carries.
 * @{
 */

/**
 * Result of a throughput test. The figures are the transport's during the test, so they include
 * what others sent on it.
 */
typedef struct {
  /** Size of this struct, set by `wtgram_throughput_report_init`. */
  size_t struct_size;
  /** How long the test took, in microseconds. */
  int64_t duration_us;
  /** Datagrams handed to QUIC. */
  uint64_t datagrams_sent;
  /** Payload bytes of those. */
  uint64_t bytes_sent;
  /** Datagrams that were refused or dropped. */
  uint64_t errors;
  /** Datagrams per second. */
  double throughput_dps;
  /** Payload bits per second. */
  double throughput_bps;
  /** `errors` divided by `errors` + `datagrams_sent`; 0 if both are 0. */
  double error_rate;
  /** 1 if the callback ended the test early, else 0. */
  uint32_t cancelled;
  /** Reserved; 0. */
  uint32_t reserved;
} wtgram_throughput_report;

/** For bindings: `wtgram_throughput_report_init` for a struct of `size` bytes. */
void wtgram_throughput_report_init_sized(wtgram_throughput_report *report, size_t size);

/** Fills `*report` with its size and zeroes. NULL is ignored. */
static inline void wtgram_throughput_report_init(wtgram_throughput_report *report)
{
  wtgram_throughput_report_init_sized(report, sizeof *report);
}

/**
 * Reports the progress of a throughput test. `report` is valid until the callback returns. Return
 * false to end the test. The library calls it on its callback thread, and never after the test has
 * returned.
 */
typedef bool (*wtgram_throughput_callback)(void *context, const wtgram_throughput_report *report);

/** Options of a throughput test. */
typedef struct {
  /** Size of this struct, set by `wtgram_throughput_options_init`. */
  size_t struct_size;
  /** How long to send, in microseconds; at most a day. Default 10 s. */
  int64_t duration_us;
  /** Payload bytes of each datagram. Default 1000. */
  uint64_t datagram_size;
  /** Options of each datagram; NULL for the defaults. Its timeout and `report_id` are ignored. */
  const wtgram_send_options *send;
  /** Time between two calls of `progress`, in microseconds. Default 1 s. */
  int64_t progress_interval_us;
  /** Callback for the progress; NULL, the default, for none. */
  wtgram_throughput_callback progress;
  /** Passed to `progress`. */
  void *context;
} wtgram_throughput_options;

/** For bindings: `wtgram_throughput_options_init` for a struct of `size` bytes. */
void wtgram_throughput_options_init_sized(wtgram_throughput_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_throughput_options_init(wtgram_throughput_options *options)
{
  wtgram_throughput_options_init_sized(options, sizeof *options);
}

/**
 * Sends as many datagrams as the path carries for a while. The peer receives them like any others.
 * The test waits for space whatever the transport's policy is, so it evicts nothing.
 *
 * @param transport The transport.
 * @param options Options; NULL for the defaults.
 * @param report Gets the result; prepared by `wtgram_throughput_report_init`.
 *
 * @return
 * - `WTGRAM_OK`: also if the callback ended the test.
 * - `WTGRAM_ERROR_TOO_LARGE`: such datagrams cannot be sent.
 * - `WTGRAM_ERROR_UNSUPPORTED`: the peer does not accept datagrams.
 * - `WTGRAM_ERROR_INVALID_STATE`: the call comes from a callback.
 * - `WTGRAM_ERROR_CLOSED`: the transport is closed, or closed during the test.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_throughput_test(wtgram_transport transport,
                                               const wtgram_throughput_options *options,
                                               wtgram_throughput_report *report);

/** @} */

/** @} */

/* ============================================================================================ *
 * 8. Reliability layer                                                                         *
 * ============================================================================================ */

/**
 * @defgroup reliability Reliability layer
 * Carries messages over the datagrams of a session: they are acknowledged and retransmitted,
 * arrive at most once in any order, and each has exactly one outcome. Open a layer at both ends:
 * `wtgram_reliability_open_over_session`, then send and receive, `wtgram_reliability_close` with a
 * drain timeout, `wtgram_reliability_free`. `docs/reliability.md` describes guarantees and wire
 * format.
 * @{
 */

/**
 * @name Options of a reliability layer
 * How long to retransmit, how much may be in progress, and what the layer speaks.
 * @{
 */

/**
 * What a reliability layer speaks, and how it treats *plain frames*: datagrams in pywebtransport's
 * form, which start with the bytes `04 'DATA'` or `03 'ACK'`. Plain frames carry no mark, so a
 * program's own datagrams may look like them.
 */
typedef enum {
  /**
   * Works with every peer. The layer sends plain frames until it answers a HELLO of the peer's
   * layer, and takes plain frames until the peer's layer answers its own: usually for two round
   * trips after the first message. During this window it also takes datagrams of the peer's
   * program that look like plain frames. Afterwards, and for all later layers on the session,
   * these go to the transport's reader. With a peer that never answers the window stays open.
   * `plain_taken` and `takes_plain` of the statistics show it. The default.
   */
  WTGRAM_NEGOTIATION_AUTO = 0,
  /**
   * Works only with a layer of this library that negotiates. Messages wait until the peer's
   * layer answers; if it does not within `ack_timeout_us × (max_retries + 1)`, they are given
   * up. Plain frames are never taken. For programs whose own datagrams may look like plain
   * frames; use it at both ends.
   */
  WTGRAM_NEGOTIATION_REQUIRED = 1,
  /**
   * pywebtransport's protocol and nothing else: plain frames are always taken. Such a layer does
   * not reach a peer that negotiated on the same session before.
   */
  WTGRAM_NEGOTIATION_OFF = 2,
} wtgram_negotiation;

/** Options of a reliability layer. */
typedef struct {
  /** Size of this struct, set by `wtgram_reliability_options_init`. */
  size_t struct_size;
  /**
   * A message is given up after `ack_timeout_us × (max_retries + 1)` at the earliest, in
   * microseconds. Default 2 s.
   */
  int64_t ack_timeout_us;
  /** Limit of messages without an outcome. Sending waits when it is reached. Default 1024. */
  uint64_t window_messages;
  /** Limit of the payload bytes of those. Default 1 MiB. */
  uint64_t window_bytes;
  /**
   * Limit of messages that arrived and are not yet received. Further ones are not acknowledged,
   * so the peer keeps them. Default 4096.
   */
  uint64_t inbound_messages;
  /** Limit of the payload bytes of those. Default 1 MiB. */
  uint64_t inbound_bytes;
  /** A message is given up after this many retransmissions by timer at the earliest. Default 5. */
  uint32_t max_retries;
  /** A `wtgram_negotiation`. Default `WTGRAM_NEGOTIATION_AUTO`. */
  uint32_t negotiation;
  /** First sequence number on a session that had no layer before. Default 0. */
  uint32_t first_sequence;
  /** Reserved; 0. */
  uint32_t reserved;
} wtgram_reliability_options;

/** For bindings: `wtgram_reliability_options_init` for a struct of `size` bytes. */
void wtgram_reliability_options_init_sized(wtgram_reliability_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_reliability_options_init(wtgram_reliability_options *options)
{
  wtgram_reliability_options_init_sized(options, sizeof *options);
}

/** @} */

/**
 * Opens a reliability layer over a transport. From now on the transport no longer delivers the
 * layer's frames. A transport carries one layer at a time; you can open another one after it is
 * closed.
 *
 * @param transport The transport.
 * @param options Options; NULL for the defaults.
 * @param reliability Gets the handle. Free it with `wtgram_reliability_free`.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_STATE`: the transport has an open layer.
 * - `WTGRAM_ERROR_CLOSED`: the transport is closed.
 * - `WTGRAM_ERROR_LIMIT_REACHED`: too many layers.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_open_over_transport(wtgram_transport transport,
                                                     const wtgram_reliability_options *options,
                                                     wtgram_reliability *reliability);

/**
 * Opens a reliability layer over the transport of a session.
 *
 * @param session The session.
 * @param options Options; NULL for the defaults.
 * @param reliability Gets the handle. Free it with `wtgram_reliability_free`.
 *
 * @return As `wtgram_reliability_open_over_transport`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_open_over_session(wtgram_session session,
                                                   const wtgram_reliability_options *options,
                                                   wtgram_reliability *reliability);

/**
 * Opens a reliability layer over a transport with the two parameters of pywebtransport's factory,
 * whose defaults are 1 s and 3 retries. All other options have their defaults.
 *
 * @param transport The transport.
 * @param ack_timeout_us As in `wtgram_reliability_options`.
 * @param max_retries As in `wtgram_reliability_options`.
 * @param reliability Gets the handle. Free it with `wtgram_reliability_free`.
 *
 * @return As `wtgram_reliability_open_over_transport`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_open_with(wtgram_transport transport,
                                           int64_t ack_timeout_us,
                                           uint32_t max_retries,
                                           wtgram_reliability *reliability);

/**
 * Accepts a message for delivery, and waits for space in the window. Each message arrives at most
 * once, in any order. It has exactly one outcome, which is counted and, with a `report_id`,
 * returned by `wtgram_reliability_next_outcome`.
 *
 * @param reliability The layer.
 * @param data First byte of the payload; ignored if `length` is 0.
 * @param length Size of the message in bytes, at most `wtgram_reliability_get_max_message_size`.
 * @param options NULL for the defaults. `timeout_us` limits the wait for space. Messages of the
 *   highest `priority` are transmitted and retransmitted first. A message older than `ttl_us` is
 *   no longer transmitted; its outcome is `WTGRAM_RELIABILITY_EXPIRED`.
 *
 * @return
 * - `WTGRAM_OK`: the message is accepted and will have exactly one outcome. After any other status
 *   it has none.
 * - `WTGRAM_ERROR_TIMED_OUT`, `WTGRAM_ERROR_WOULD_BLOCK`: there was no space in time, or the TTL
 *   passed first (TIMED_OUT).
 * - `WTGRAM_ERROR_TOO_LARGE`: it is larger than the path carries now.
 * - `WTGRAM_ERROR_UNSUPPORTED`: the peer does not accept datagrams.
 * - `WTGRAM_ERROR_LIMIT_REACHED`: too many outcomes are not fetched.
 * - `WTGRAM_ERROR_CLOSED`: the layer is closed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_send(wtgram_reliability reliability,
                                      const uint8_t *data,
                                      size_t length,
                                      const wtgram_send_options *options);

/**
 * Sends a message like `wtgram_reliability_send`, but never waits.
 *
 * @param reliability The layer.
 * @param data First byte of the payload; ignored if `length` is 0.
 * @param length Size of the payload, in bytes.
 * @param options Options; NULL for the defaults.
 *
 * @return As `wtgram_reliability_send`; `WTGRAM_ERROR_WOULD_BLOCK` if the window is full.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_try_send(wtgram_reliability reliability,
                                          const uint8_t *data,
                                          size_t length,
                                          const wtgram_send_options *options);

/**
 * Waits for the next message and copies it into `buffer`, which holds `capacity` bytes; stores its
 * length in `length`. Several threads may wait; each message goes to one of them.
 *
 * Receive in time: when the inbound queue is full, the layer stops acknowledging, and the peer's
 * sender waits.
 *
 * @param reliability The layer.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param buffer Buffer for the payload.
 * @param capacity Size of `buffer`, in bytes.
 * @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the size needed. The message stays in the queue.
 * - `WTGRAM_ERROR_CLOSED`: the layer is closed and everything that arrived has been received.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_receive(wtgram_reliability reliability,
                                         int64_t timeout_us,
                                         uint8_t *buffer,
                                         size_t capacity,
                                         size_t *length);

/**
 * Receives like `wtgram_reliability_receive`, but never waits.
 *
 * @param reliability The layer.
 * @param buffer Buffer for the payload.
 * @param capacity Size of `buffer`, in bytes.
 * @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
 *
 * @return As `wtgram_reliability_receive`; `WTGRAM_ERROR_WOULD_BLOCK` if no message is there.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_try_receive(wtgram_reliability reliability,
                                             uint8_t *buffer,
                                             size_t capacity,
                                             size_t *length);

/**
 * Stores the largest message that can be sent now. It follows the path's MTU.
 *
 * @param reliability The layer.
 * @param bytes Gets the size in bytes.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_UNSUPPORTED`: the peer does not accept datagrams.
 * - `WTGRAM_ERROR_CLOSED`: the layer is closed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_get_max_message_size(wtgram_reliability reliability,
                                                      size_t *bytes);

/** Stores whether the layer or its transport is closed. You can still receive what has arrived. */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_is_closed(wtgram_reliability reliability,
                                           bool *closed);

/**
 * Closes the layer: accepts no more messages, waits for the outcomes of those in progress, then
 * ends. Messages that are still without an outcome get `WTGRAM_RELIABILITY_CLOSED`. Calls that
 * wait on the layer return `WTGRAM_ERROR_CLOSED`. You can still receive what has arrived and fetch
 * outcomes. The transport stays open.
 *
 * @param reliability The layer.
 * @param drain_timeout_us Longest wait for outcomes in microseconds, `WTGRAM_FOREVER`, or 0 to not
 *   wait.
 *
 * @return
 * - `WTGRAM_OK`: no message was left without an outcome of the peer.
 * - `WTGRAM_ERROR_TIMED_OUT`, `WTGRAM_ERROR_WOULD_BLOCK`: some were; the layer is closed all the
 *   same.
 */
wtgram_status wtgram_reliability_close(wtgram_reliability reliability, int64_t drain_timeout_us);

/**
 * Closes the layer without waiting, if it is open, and releases its handle. Handles that are zero
 * or released are ignored.
 */
void wtgram_reliability_free(wtgram_reliability reliability);

/**
 * @name Outcomes of messages
 * What became of each message that was sent with a `report_id`.
 * @{
 */

/** What became of a message. */
typedef enum {
  /** The peer's layer acknowledged it. */
  WTGRAM_RELIABILITY_ACKNOWLEDGED = 0,
  /**
   * Nobody acknowledged it in time. If `transmissions` is not 0, it may still have been
   * delivered.
   */
  WTGRAM_RELIABILITY_GAVE_UP = 1,
  /** It no longer fitted the path when it was to be transmitted. */
  WTGRAM_RELIABILITY_TOO_LARGE = 2,
  /** The layer closed first. If `transmissions` is not 0, it may have been delivered. */
  WTGRAM_RELIABILITY_CLOSED = 3,
  /** Its TTL passed first. If `transmissions` is not 0, it may have been delivered. */
  WTGRAM_RELIABILITY_EXPIRED = 4,
} wtgram_reliability_outcome_kind;

/** The outcome of a message. */
typedef struct {
  /** The `report_id` it was sent with. */
  uint64_t report_id;
  /** Time from acceptance to the outcome, in microseconds. */
  int64_t elapsed_us;
  /** A `wtgram_reliability_outcome_kind`. */
  uint32_t kind;
  /** How often it was transmitted. */
  uint32_t transmissions;
  /** Reserved; 0. */
  uint64_t reserved[2];
} wtgram_reliability_outcome;

/**
 * Waits for the next outcome of a message that was sent with a `report_id`. At most 65,536
 * outcomes are kept; then sending with a `report_id` fails.
 *
 * @param reliability The layer.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param outcome Gets the outcome.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_CLOSED`: the layer is closed and every outcome has been fetched.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_next_outcome(wtgram_reliability reliability,
                                              int64_t timeout_us,
                                              wtgram_reliability_outcome *outcome);

/**
 * Waits for an outcome, then takes all that are there and fit.
 *
 * @param reliability The layer.
 * @param timeout_us Longest wait for the first outcome in microseconds, `WTGRAM_FOREVER`, or 0 to
 *   not wait.
 * @param outcomes Array for the outcomes.
 * @param capacity Number of elements in `outcomes`, at least 1.
 * @param count Gets the number of outcomes.
 *
 * @return As `wtgram_reliability_next_outcome`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_next_outcomes(wtgram_reliability reliability,
                                               int64_t timeout_us,
                                               wtgram_reliability_outcome *outcomes,
                                               size_t capacity,
                                               size_t *count);

/** @} */

/**
 * @name Statistics of a reliability layer
 * Counters and current values of a layer.
 * @{
 */

/** Statistics of a reliability layer, as one consistent snapshot. */
typedef struct {
  /** Size of this struct, set by `wtgram_reliability_stats_init`. */
  size_t struct_size;
  /**
   * Messages accepted: the sum of `acknowledged`, `gave_up`, `too_large`, `closed`, `expired`
   * and `unresolved`.
   */
  uint64_t submitted;
  /** Messages that the peer acknowledged. */
  uint64_t acknowledged;
  /** Messages given up. They may have been delivered. */
  uint64_t gave_up;
  /** Messages that no longer fitted the path. */
  uint64_t too_large;
  /** Messages without an outcome when the layer closed. */
  uint64_t closed;
  /** Messages without an outcome now. */
  uint64_t unresolved;
  /** Payload bytes of those. */
  uint64_t unresolved_bytes;
  /** DATA frames transmitted. */
  uint64_t transmissions;
  /** Bytes of those. */
  uint64_t bytes_transmitted;
  /** Retransmissions because later messages were acknowledged. */
  uint64_t early_retransmits;
  /** Retransmissions by timer. */
  uint64_t timer_retransmits;
  /** Retransmissions that turned out to be unnecessary. */
  uint64_t spurious_retransmits;
  /** Messages that arrived, each once. */
  uint64_t received;
  /** Messages given to the program. */
  uint64_t delivered;
  /** Copies that arrived and were dropped. */
  uint64_t duplicates;
  /** Messages not acknowledged because the inbound queue was full; the peer keeps them. */
  uint64_t refused_full;
  /** Messages in the inbound queue now. */
  uint64_t receive_queued;
  /** Malformed frames received. */
  uint64_t malformed;
  /** How often the peer's layer was opened again. */
  uint64_t peer_restarts;
  /** Smoothed round-trip time, in microseconds; 0 before the first measurement. */
  int64_t rtt_us;
  /** Retransmission timeout before backoff, in microseconds. */
  int64_t rto_us;
  /** 1 if both ends speak more than the plain protocol. */
  uint32_t negotiated;
  /** 1 while the peer says that its inbound queue is full. */
  uint32_t peer_full;
} wtgram_reliability_stats;

/** For bindings: `wtgram_reliability_stats_init` for a struct of `size` bytes. */
void wtgram_reliability_stats_init_sized(wtgram_reliability_stats *stats, size_t size);

/** Fills `*stats` with its size and zeroes. NULL is ignored. */
static inline void wtgram_reliability_stats_init(wtgram_reliability_stats *stats)
{
  wtgram_reliability_stats_init_sized(stats, sizeof *stats);
}

/**
 * Stores the statistics of the layer.
 *
 * @param reliability The layer.
 * @param stats Gets the statistics; prepared by `wtgram_reliability_stats_init`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_reliability_get_stats(wtgram_reliability reliability,
                                           wtgram_reliability_stats *stats);

/** @} */

/** @} */

/* ============================================================================================ *
 * 9. Broadcaster                                                                               *
 * ============================================================================================ */

/**
 * @defgroup broadcaster Broadcaster
 * Sends one datagram to many members: transports, or reliability layers. Call order:
 * `wtgram_broadcaster_new`, add members as they come, `wtgram_broadcaster_broadcast`,
 * `wtgram_broadcaster_free`. Members that close leave by themselves.
 * @{
 */

/** What happens to a member that does not keep up. */
typedef enum {
  /** It misses the datagrams for which its queue has no space. The default. */
  WTGRAM_SLOW_DROP = 0,
  /** It is removed after `slow_limit` broadcasts in a row for which its queue dropped something. */
  WTGRAM_SLOW_REMOVE = 1,
} wtgram_slow_policy;

/** Options of a broadcaster. */
typedef struct {
  /** Size of this struct, set by `wtgram_broadcaster_options_init`. */
  size_t struct_size;
  /** A `wtgram_slow_policy`. Default `WTGRAM_SLOW_DROP`. */
  uint32_t slow_policy;
  /** For `WTGRAM_SLOW_REMOVE`: number of drops in a row, at least 1. Default 10. */
  uint32_t slow_limit;
} wtgram_broadcaster_options;

/** For bindings: `wtgram_broadcaster_options_init` for a struct of `size` bytes. */
void wtgram_broadcaster_options_init_sized(wtgram_broadcaster_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_broadcaster_options_init(wtgram_broadcaster_options *options)
{
  wtgram_broadcaster_options_init_sized(options, sizeof *options);
}

/**
 * Makes a broadcaster without members.
 *
 * @param options Options; NULL for the defaults.
 * @param broadcaster Gets the handle. Free it with `wtgram_broadcaster_free`.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_LIMIT_REACHED`: too many broadcasters.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_broadcaster_new(const wtgram_broadcaster_options *options,
                                     wtgram_broadcaster *broadcaster);

/**
 * Adds a transport as a member. Adding it again has no effect.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_CLOSED`: the transport or the broadcaster is closed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_broadcaster_add_transport(wtgram_broadcaster broadcaster,
                                               wtgram_transport transport);

/**
 * Adds the transport of a session as a member.
 *
 * @return As `wtgram_broadcaster_add_transport`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_broadcaster_add_session(wtgram_broadcaster broadcaster,
                                             wtgram_session session);

/**
 * Adds a reliability layer as a member. It gets broadcasts as messages.
 *
 * @return As `wtgram_broadcaster_add_transport`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_broadcaster_add_reliability(wtgram_broadcaster broadcaster,
                                                 wtgram_reliability reliability);

/**
 * Removes a reliability layer. Has no effect if it is not a member; its handle may already be
 * released.
 */
wtgram_status wtgram_broadcaster_remove_reliability(wtgram_broadcaster broadcaster,
                                                    wtgram_reliability reliability);

/** Removes a transport. Has no effect if it is not a member; its handle may already be released. */
wtgram_status wtgram_broadcaster_remove_transport(wtgram_broadcaster broadcaster,
                                                  wtgram_transport transport);

/**
 * Removes the transport of a session. Has no effect if it is not a member. (A released session is
 * closed and leaves by itself.)
 */
wtgram_status wtgram_broadcaster_remove_session(wtgram_broadcaster broadcaster,
                                                wtgram_session session);

/** Stores the number of members that are open; 0 after `wtgram_broadcaster_close`. */
WTGRAM_MUST_USE
wtgram_status wtgram_broadcaster_get_member_count(wtgram_broadcaster broadcaster,
                                                  size_t *count);

/** Result of a broadcast for one member. */
typedef struct {
  /** The `id` of the member's transport or reliability layer. */
  uint64_t member;
  /** Number of older datagrams that were evicted from its queue for this one. */
  uint64_t evicted;
  /** `WTGRAM_OK` if queued, else a status of `wtgram_transport_send`. */
  int32_t status;
  /** 1 if it is no longer a member: it was closed, or too slow for too long. Else 0. */
  uint32_t removed;
  /** Reserved; 0. */
  uint64_t reserved[2];
} wtgram_broadcast_result;

/**
 * Queues one datagram for every member and waits for none of them. A full queue follows its
 * transport's policy; where this is to wait, the datagram is dropped for this member. Closed
 * members are removed. Members do not affect each other.
 *
 * Threads may broadcast while others add and remove members.
 *
 * @param broadcaster The broadcaster.
 * @param data First byte of the payload; ignored if `length` is 0.
 * @param length Size of the payload, in bytes.
 * @param options Priority, TTL and report id for each member; NULL for the defaults. The timeout
 *   is ignored. With a `report_id` each member that accepted the datagram has an outcome.
 * @param results Array for the result of each member; NULL with capacity 0 for none. Results that
 *   do not fit are left out.
 * @param capacity Number of elements in `results`.
 * @param members NULL, or gets the number of members.
 * @param accepted Gets the number of members that queued the datagram.
 *
 * @return
 * - `WTGRAM_OK`: also if no member accepted it.
 * - `WTGRAM_ERROR_CLOSED`: the broadcaster is closed.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_broadcaster_broadcast(wtgram_broadcaster broadcaster,
                                           const uint8_t *data,
                                           size_t length,
                                           const wtgram_send_options *options,
                                           wtgram_broadcast_result *results,
                                           size_t capacity,
                                           size_t *members,
                                           size_t *accepted);

/**
 * Statistics of a broadcaster. Each member of each broadcast is in exactly one of `accepted`,
 * `dropped`, `too_large`, `failed` and `closed`.
 */
typedef struct {
  /** Size of this struct, set by `wtgram_broadcaster_stats_init`. */
  size_t struct_size;
  /** Broadcasts. */
  uint64_t broadcasts;
  /** Datagrams queued for a member. */
  uint64_t accepted;
  /** Dropped for a member because its queue was full. */
  uint64_t dropped;
  /** Too large for a member. */
  uint64_t too_large;
  /** Refused for any other reason. */
  uint64_t failed;
  /** The member was closed and was removed. */
  uint64_t closed;
  /** Members removed because they were too slow. */
  uint64_t removed_slow;
} wtgram_broadcaster_stats;

/** For bindings: `wtgram_broadcaster_stats_init` for a struct of `size` bytes. */
void wtgram_broadcaster_stats_init_sized(wtgram_broadcaster_stats *stats, size_t size);

/** Fills `*stats` with its size and zeroes. NULL is ignored. */
static inline void wtgram_broadcaster_stats_init(wtgram_broadcaster_stats *stats)
{
  wtgram_broadcaster_stats_init_sized(stats, sizeof *stats);
}

/**
 * Stores the statistics of the broadcaster.
 *
 * @param broadcaster The broadcaster.
 * @param stats Gets the statistics; prepared by `wtgram_broadcaster_stats_init`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_broadcaster_get_stats(wtgram_broadcaster broadcaster,
                                           wtgram_broadcaster_stats *stats);

/** Closes the broadcaster and removes all members, which stay open. Closing again has no effect. */
wtgram_status wtgram_broadcaster_close(wtgram_broadcaster broadcaster);

/**
 * Closes the broadcaster and releases its handle. Handles that are zero or released are ignored.
 */
void wtgram_broadcaster_free(wtgram_broadcaster broadcaster);

/** @} */

/* ============================================================================================ *
 * 10. Monitor                                                                                  *
 * ============================================================================================ */

/**
 * @defgroup monitor Monitor
 * Takes a sample of a transport at regular intervals and raises alerts. Call order:
 * `wtgram_monitor_options_init`, `wtgram_monitor_open`, then `wtgram_monitor_next_alert` or
 * `wtgram_monitor_get_samples`, and `wtgram_monitor_free`.
 * @{
 */

/** Options of a monitor. */
typedef struct {
  /** Size of this struct, set by `wtgram_monitor_options_init`. */
  size_t struct_size;
  /** Time between samples in microseconds, at least 10000. Default 5 s. */
  int64_t interval_us;
  /** Number of samples kept, 1 to 65536. Default 100. */
  uint64_t max_samples;
  /** Number of alerts kept, 1 to 65536. Default 50. */
  uint64_t max_alerts;
  /** Alert when the outgoing queue is above this part of its high-water mark. Default 0.9. */
  double queue_size_threshold;
  /** Alert when the send success rate is below this. Default 0.8. */
  double success_rate_threshold;
  /** Number of samples needed for a trend. Default 10. */
  uint64_t trend_window;
  /** Alert when the round-trip time rises by at least this, in microseconds. Default 10 ms. */
  int64_t rtt_rise_us;
  /** Alert when the part of lost packets rises by at least this. Default 0.01. */
  double loss_rise;
} wtgram_monitor_options;

/** For bindings: `wtgram_monitor_options_init` for a struct of `size` bytes. */
void wtgram_monitor_options_init_sized(wtgram_monitor_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_monitor_options_init(wtgram_monitor_options *options)
{
  wtgram_monitor_options_init_sized(options, sizeof *options);
}

/**
 * Starts to take samples of a transport, the first one after one interval. A transport can have
 * several monitors.
 *
 * @param transport The transport.
 * @param options Options; NULL for the defaults.
 * @param monitor Gets the handle. Free it with `wtgram_monitor_free`.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_ARGUMENT`: an option is out of range, for example an interval below 10
 *   ms.
 * - `WTGRAM_ERROR_CLOSED`: the transport is closed.
 * - `WTGRAM_ERROR_LIMIT_REACHED`: too many monitors.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_monitor_open(wtgram_transport transport,
                                  const wtgram_monitor_options *options,
                                  wtgram_monitor *monitor);

/** Stores whether the monitor takes samples: neither it nor its transport is closed. */
WTGRAM_MUST_USE
wtgram_status wtgram_monitor_is_monitoring(wtgram_monitor monitor,
                                           bool *monitoring);

/**
 * Stops taking samples. Calls that wait on the monitor return `WTGRAM_ERROR_CLOSED`. You can still
 * read samples and alerts. Closing again has no effect.
 */
wtgram_status wtgram_monitor_close(wtgram_monitor monitor);

/** Closes the monitor and releases its handle. Handles that are zero or released are ignored. */
void wtgram_monitor_free(wtgram_monitor monitor);

/**
 * @name Samples
 * The figures of a transport at one time.
 * @{
 */

/** A sample of a transport. Counters are totals since the transport was created. */
typedef struct {
  /** Unix time in microseconds. */
  int64_t timestamp_us;
  /** Datagrams sent. */
  uint64_t datagrams_sent;
  /** Datagrams received. */
  uint64_t datagrams_received;
  /** Payload bytes sent. */
  uint64_t bytes_sent;
  /** Payload bytes received. */
  uint64_t bytes_received;
  /** Datagrams sent divided by those sent and failed; 1 if there were none. */
  double send_success_rate;
  /** Mean time of a send call, in microseconds. */
  double avg_send_time_us;
  /** Datagrams in the outgoing queue. */
  uint64_t outgoing_queue_size;
  /** Datagrams in the incoming queue. */
  uint64_t incoming_queue_size;
  /** Outgoing datagrams evicted for newer ones. */
  uint64_t evicted;
  /** Outgoing datagrams dropped because of their age. */
  uint64_t expired;
  /** Incoming datagrams dropped: no space, too old, or in QUIC's buffer. */
  uint64_t inbound_dropped;
  /** Smoothed round-trip time, in microseconds. */
  int64_t rtt_us;
  /** QUIC packets sent. */
  uint64_t packets_sent;
  /** QUIC packets lost. */
  uint64_t packets_lost;
  /** Part of the packets since the previous sample that was lost, 0 to 1. */
  double loss;
  /** Time since anything arrived from the peer, in microseconds. */
  int64_t silence_us;
  /** Reserved; 0. */
  uint64_t reserved[7];
} wtgram_sample;

/**
 * Copies the newest samples, oldest first. They stay in the monitor. Works also after its end.
 *
 * @param monitor The monitor.
 * @param samples Array for the samples.
 * @param limit Number of elements in `samples`; 0 with NULL to get only the count.
 * @param count Gets the number of samples in the monitor, which may be more than `limit`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_monitor_get_samples(wtgram_monitor monitor,
                                         wtgram_sample *samples,
                                         size_t limit,
                                         size_t *count);

/** @} */

/**
 * @name Alerts
 * An alert says that a condition started or ended.
 * @{
 */

/** What an alert is about. In brackets: the unit of `value`. */
typedef enum {
  /** The outgoing queue is above `queue_size_threshold` (datagrams). */
  WTGRAM_ALERT_HIGH_QUEUE_SIZE = 1,
  /** The send success rate is below `success_rate_threshold` (part of 1). */
  WTGRAM_ALERT_LOW_SUCCESS_RATE = 2,
  /**
   * The mean send time increases: in the samples kept, at least `trend_window`, the mean of the
   * later half is more than a quarter above that of the earlier half (seconds).
   */
  WTGRAM_ALERT_INCREASING_SEND_TIME = 3,
  /** Outgoing datagrams were evicted since the previous sample (datagrams). */
  WTGRAM_ALERT_EVICTIONS = 4,
  /** Outgoing datagrams expired since the previous sample (datagrams). */
  WTGRAM_ALERT_EXPIRIES = 5,
  /** Incoming datagrams were dropped since the previous sample (datagrams). */
  WTGRAM_ALERT_INBOUND_DROPS = 6,
  /**
   * The round-trip time increases like the send time above, and by at least `rtt_rise_us`
   * (seconds).
   */
  WTGRAM_ALERT_RTT_RISE = 7,
  /** The loss increases like the send time above, and by at least `loss_rise` (part of 1). */
  WTGRAM_ALERT_LOSS_RISE = 8,
  /** Nothing arrived from the peer for `silence_us`, not even acknowledgements (seconds). */
  WTGRAM_ALERT_SILENT_PEER = 9,
} wtgram_alert_kind;

/** Size of an alert's message with its NUL, in bytes. */
#define WTGRAM_ALERT_MESSAGE_CAPACITY 128

/** A condition started or ended. There is one alert for each change. */
typedef struct {
  /** Time of the sample, Unix time in microseconds. */
  int64_t timestamp_us;
  /** A `wtgram_alert_kind`. */
  uint32_t kind;
  /** 1: the condition started; 0: it ended. */
  uint32_t began;
  /** The measured value; `wtgram_alert_kind` names its unit. */
  double value;
  /** The value it was compared with. */
  double threshold;
  /**
   * Only from `wtgram_monitor_next_alert`: number of earlier alerts that were dropped because
   * nobody fetched them in time.
   */
  uint64_t missed;
  /** Reserved; 0. */
  uint64_t reserved[3];
  /** The alert as an English sentence, NUL-terminated. */
  char message[WTGRAM_ALERT_MESSAGE_CAPACITY];
} wtgram_alert;

/**
 * Copies the newest alerts, oldest first, whether they were fetched or not. They stay in the
 * monitor. Works also after its end.
 *
 * @param monitor The monitor.
 * @param alerts Array for the alerts.
 * @param limit Number of elements in `alerts`; 0 with NULL to get only the count.
 * @param count Gets the number of alerts in the monitor, which may be more than `limit`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_monitor_get_alerts(wtgram_monitor monitor,
                                        wtgram_alert *alerts,
                                        size_t limit,
                                        size_t *count);

/**
 * Waits for the next alert. At most `max_alerts` wait to be fetched; then the oldest is dropped
 * and counted in `missed`. Several threads may wait; each alert goes to one of them.
 *
 * @param monitor The monitor.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param alert Gets the alert.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_CLOSED`: the monitor or its transport is closed and every alert has been
 *   fetched.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_monitor_next_alert(wtgram_monitor monitor,
                                        int64_t timeout_us,
                                        wtgram_alert *alert);

/** @} */

/**
 * @name Prometheus
 * Figures as text for Prometheus, without a monitor.
 * @{
 */

/**
 * Writes the figures of a transport and its connection as OpenMetrics 1.0 text for Prometheus,
 * labelled with the peer's address. Serve it as `application/openmetrics-text; version=1.0.0;
 * charset=utf-8`.
 *
 * @param transport The transport.
 * @param text Buffer for the text and its final NUL.
 * @param capacity Size of `text`, in bytes.
 * @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the length needed. The text grows with its
 *   numbers, so allocate a little more.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_transport_get_prometheus(wtgram_transport transport,
                                              char *text,
                                              size_t capacity,
                                              size_t *length);

/**
 * Writes the sums over all transports that the process has and had, as OpenMetrics 1.0 text.
 * Counters never decrease.
 *
 * @param text Buffer for the text and its final NUL.
 * @param capacity Size of `text`, in bytes.
 * @param length Gets the length without the NUL, in bytes, also if the buffer is too small.
 *
 * @return As `wtgram_transport_get_prometheus`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_process_get_prometheus(char *text,
                                            size_t capacity,
                                            size_t *length);

/** @} */

/** @} */

/* ============================================================================================ *
 * 11. Structured transport                                                                     *
 * ============================================================================================ */

/**
 * @defgroup structured Structured transport
 * Sends and receives typed objects, as JSON, MessagePack or in a format of your own. Both ends
 * register the same type ids and open a structured transport over a session, a transport or a
 * reliability layer.
 * @{
 */

/**
 * @name Serializers
 * How objects are encoded: JSON, MessagePack, or by functions of the program.
 * @{
 */

/** How objects are encoded. */
typedef enum {
  /**
   * Objects are JSON texts, strictly checked (RFC 8259: no NaN, no lone surrogates, at most 127
   * levels), and sent and received without white space. Numbers keep their digits. The default.
   */
  WTGRAM_SERIALIZER_JSON = 0,
  /**
   * Objects are JSON texts for the program and MessagePack on the wire. Integers from -2^63 to
   * 2^64 - 1 are exact; other numbers become doubles or are refused if they do not fit. Incoming
   * values that JSON lacks are converted: binary to a base64 string, an extension to
   * `{"type":number,"data":base64}`, NaN and infinities to the strings `"NaN"`, `"Infinity"`,
   * `"-Infinity"`, integer and boolean map keys to strings. Other map keys are refused.
   */
  WTGRAM_SERIALIZER_MESSAGE_PACK = 1,
  /** Objects are bytes of the program's choice; the `custom` serializer converts them. */
  WTGRAM_SERIALIZER_CUSTOM = 2,
} wtgram_serializer_kind;

/**
 * Converts `length` bytes at `data`: sets `*result` and `*result_length` and returns 0, or returns
 * another value to refuse. The result must stay valid until it is passed to `free_bytes`; it may
 * point to `data`. It runs on the thread that sends or receives, may use other objects of the
 * library, and must not throw.
 */
typedef int32_t (*wtgram_serializer_callback)(void *context,
                                              uint32_t type_id,
                                              const uint8_t *data,
                                              size_t length,
                                              const uint8_t **result,
                                              size_t *result_length);

/**
 * Frees the result of a `wtgram_serializer_callback` that returned 0. Called once for each, after
 * the result was copied.
 */
typedef void (*wtgram_serializer_free_callback)(void *context, const uint8_t *data, size_t length);

/** A custom serializer. Several threads may call its functions at once. */
typedef struct {
  /** Size of this struct, set by `wtgram_serializer_init`. */
  size_t struct_size;
  /**
   * Passed to the functions. Must stay valid until the structured transport is freed and no call
   * uses it.
   */
  void *context;
  /** Converts an object to its encoding. */
  wtgram_serializer_callback serialize;
  /** Converts an encoding to an object. */
  wtgram_serializer_callback deserialize;
  /** Frees results of both; may be NULL. */
  wtgram_serializer_free_callback free_bytes;
} wtgram_serializer;

/** For bindings: `wtgram_serializer_init` for a struct of `size` bytes. */
void wtgram_serializer_init_sized(wtgram_serializer *serializer, size_t size);

/** Fills `*serializer` with its size and no functions. NULL is ignored. */
static inline void wtgram_serializer_init(wtgram_serializer *serializer)
{
  wtgram_serializer_init_sized(serializer, sizeof *serializer);
}

/** @} */

/** A type of objects. */
typedef struct {
  /** Id of the type, 0 to 65535, the same at both ends. */
  uint32_t type_id;
  /** Reserved; 0. */
  uint32_t reserved;
  /**
   * Limit of the encoded size in bytes, for sending and receiving; 0 for no other limit than the
   * path's.
   */
  uint64_t max_bytes;
  /** Reserved; 0. */
  uint64_t reserved_too[2];
} wtgram_object_type;

/** Options of a structured transport. */
typedef struct {
  /** Size of this struct, set by `wtgram_structured_options_init`. */
  size_t struct_size;
  /** The serializer for `WTGRAM_SERIALIZER_CUSTOM`; it is copied. */
  const wtgram_serializer *custom;
  /**
   * Over a session: limit of the queue in datagrams, at least 1. Default 100. Ignored otherwise.
   */
  uint64_t queue_datagrams;
  /** A `wtgram_serializer_kind`. Default `WTGRAM_SERIALIZER_JSON`. */
  uint32_t serializer;
  /** Reserved; 0. */
  uint32_t reserved;
} wtgram_structured_options;

/** For bindings: `wtgram_structured_options_init` for a struct of `size` bytes. */
void wtgram_structured_options_init_sized(wtgram_structured_options *options, size_t size);

/** Fills `*options` with the defaults. NULL is ignored. */
static inline void wtgram_structured_options_init(wtgram_structured_options *options)
{
  wtgram_structured_options_init_sized(options, sizeof *options);
}

/**
 * Opens a structured transport over a transport. It receives all datagrams of the transport, so
 * nobody else should receive from it. Closing it closes the transport.
 *
 * @param transport The transport.
 * @param object_types The types, each id once; they cannot be changed later.
 * @param count Number of types.
 * @param options Options; NULL for the defaults.
 * @param structured Gets the handle. Free it with `wtgram_structured_free`.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_ARGUMENT`: an id is above 65535 or occurs twice, or a custom serializer
 *   lacks a function.
 * - `WTGRAM_ERROR_CLOSED`: the object below is closed.
 * - `WTGRAM_ERROR_LIMIT_REACHED`: too many structured transports.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_open_over_transport(wtgram_transport transport,
                                                    const wtgram_object_type *object_types,
                                                    size_t count,
                                                    const wtgram_structured_options *options,
                                                    wtgram_structured *structured);

/**
 * Opens a structured transport beside the other readers of a session. Datagrams that start with a
 * registered type id go to its own queue; when this is full, new ones are dropped and counted. All
 * others go to the session's transport. Closing it closes nothing else.
 *
 * @param session The session.
 * @param object_types The types, each id once; they cannot be changed later.
 * @param count Number of types.
 * @param options Options; NULL for the defaults.
 * @param structured Gets the handle. Free it with `wtgram_structured_free`.
 *
 * @return As `wtgram_structured_open_over_transport`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_open_over_session(wtgram_session session,
                                                  const wtgram_object_type *object_types,
                                                  size_t count,
                                                  const wtgram_structured_options *options,
                                                  wtgram_structured *structured);

/**
 * Opens a structured transport over a reliability layer: objects are retransmitted, and each
 * arrives at most once. It receives all messages of the layer, and closing it closes the layer.
 * Priority and TTL of an object are those of its message.
 *
 * @param reliability The layer.
 * @param object_types The types, each id once; they cannot be changed later.
 * @param count Number of types.
 * @param options Options; NULL for the defaults.
 * @param structured Gets the handle. Free it with `wtgram_structured_free`.
 *
 * @return As `wtgram_structured_open_over_transport`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_open_over_reliability(wtgram_reliability reliability,
                                                      const wtgram_object_type *object_types,
                                                      size_t count,
                                                      const wtgram_structured_options *options,
                                                      wtgram_structured *structured);

/**
 * Stores whether the structured transport or the object below it is closed. You can still receive
 * what has arrived.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_is_closed(wtgram_structured structured,
                                          bool *closed);

/**
 * Closes the structured transport. Over a transport or a reliability layer this closes that, too;
 * over a session it closes nothing else. Calls that wait on it return `WTGRAM_ERROR_CLOSED`. You
 * can still receive what has arrived. Closing again has no effect.
 */
wtgram_status wtgram_structured_close(wtgram_structured structured);

/**
 * Closes the structured transport and releases its handle. Handles that are zero or released are
 * ignored.
 */
void wtgram_structured_free(wtgram_structured structured);

/**
 * @name Sending objects
 * An object is one datagram, or one message over a reliability layer.
 * @{
 */

/**
 * Encodes an object and sends it as one datagram: its type id in two bytes (big endian), then the
 * encoding.
 *
 * With a `report_id`, fetch the outcome from what carries the datagram:
 * `wtgram_transport_next_outcome` of the session's transport, or `wtgram_reliability_next_outcome`
 * of the layer.
 *
 * @param structured The structured transport.
 * @param type_id A registered type id.
 * @param object The object: JSON text without a NUL, or what the custom serializer takes.
 * @param length Length of the object in bytes.
 * @param options Options; NULL for the defaults.
 *
 * @return As `wtgram_transport_send`, and
 * - `WTGRAM_ERROR_UNKNOWN_TYPE`: the type id is not registered.
 * - `WTGRAM_ERROR_SERIALIZATION`: the object cannot be encoded.
 * - `WTGRAM_ERROR_TOO_LARGE`: the encoding is larger than its type or the path allows.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_send(wtgram_structured structured,
                                     uint32_t type_id,
                                     const uint8_t *object,
                                     size_t length,
                                     const wtgram_send_options *options);

/**
 * Sends an object like `wtgram_structured_send`, but never waits.
 *
 * @param structured The structured transport.
 * @param type_id A registered type id.
 * @param object The object.
 * @param length Length of the object in bytes.
 * @param options Options; NULL for the defaults.
 *
 * @return As `wtgram_structured_send`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_try_send(wtgram_structured structured,
                                         uint32_t type_id,
                                         const uint8_t *object,
                                         size_t length,
                                         const wtgram_send_options *options);

/** An object to send. */
typedef struct {
  /** First byte; ignored if `length` is 0. */
  const uint8_t *data;
  /** Length in bytes. */
  size_t length;
  /** Type id. */
  uint32_t type_id;
  /** Reserved; 0. */
  uint32_t reserved[3];
} wtgram_object;

/**
 * Sends many objects in one call. If one fails, the others are sent all the same.
 *
 * @param structured The structured transport.
 * @param objects The objects.
 * @param count Number of objects; 0 is valid.
 * @param options Options of each object; NULL for the defaults.
 * @param results NULL, or an array of `count` elements that get the status of each object.
 * @param accepted Gets the number of objects that were queued, whatever the status.
 *
 * @return The status of the first object that failed, or `WTGRAM_OK`. If the handle or an argument
 *   is invalid, nothing is sent.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_send_batch(wtgram_structured structured,
                                           const wtgram_object *objects,
                                           size_t count,
                                           const wtgram_send_options *options,
                                           wtgram_status *results,
                                           size_t *accepted);

/** @} */

/**
 * @name Receiving objects
 * A datagram that is not an object is reported by a status and does not stop the others.
 * @{
 */

/**
 * Waits for the next object and copies it into `buffer`, which holds `capacity` bytes. JSON text
 * gets no NUL. Several threads may wait; each object goes to one of them.
 *
 * A datagram that is not an object is dropped, counted and reported by its status. The next call
 * goes on with the next datagram.
 *
 * @param structured The structured transport.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param buffer Buffer for the payload.
 * @param capacity Size of `buffer`, in bytes.
 * @param type_id Gets the type id.
 * @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: `length` is the size needed. The object stays in the queue.
 * - `WTGRAM_ERROR_TRUNCATED`: a datagram was too short for a type id.
 * - `WTGRAM_ERROR_UNKNOWN_TYPE`: a type id was not registered.
 * - `WTGRAM_ERROR_TOO_LARGE`: an encoding was larger than its type allows.
 * - `WTGRAM_ERROR_DESERIALIZATION`: an object could not be decoded.
 * - `WTGRAM_ERROR_CLOSED`: the structured transport is closed and everything that arrived has been
 *   received.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_receive(wtgram_structured structured,
                                        int64_t timeout_us,
                                        uint8_t *buffer,
                                        size_t capacity,
                                        uint32_t *type_id,
                                        size_t *length);

/**
 * Receives like `wtgram_structured_receive`, but never waits.
 *
 * @param structured The structured transport.
 * @param buffer Buffer for the payload.
 * @param capacity Size of `buffer`, in bytes.
 * @param type_id Gets the type id.
 * @param length Gets the length in bytes; on `WTGRAM_ERROR_BUFFER_TOO_SMALL`, the length needed.
 *
 * @return As `wtgram_structured_receive`; `WTGRAM_ERROR_WOULD_BLOCK` if no object is there.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_try_receive(wtgram_structured structured,
                                            uint8_t *buffer,
                                            size_t capacity,
                                            uint32_t *type_id,
                                            size_t *length);

/**
 * An object in the arena of `wtgram_structured_receive_batch`, or a datagram that is not an
 * object.
 */
typedef struct {
  /** Position of its first byte in the arena. */
  uint64_t offset;
  /** Length in bytes. */
  uint64_t length;
  /** Position of its datagram in the order of arrival. */
  uint64_t sequence;
  /** Time of arrival, Unix time in microseconds. */
  int64_t timestamp_us;
  /** Type id. */
  uint32_t type_id;
  /** `WTGRAM_OK`, or why the datagram is not an object; then all other fields are zero. */
  int32_t status;
  /** Reserved; 0. */
  uint64_t reserved[2];
} wtgram_received_object;

/**
 * Waits for an object, then takes all that are there and fit.
 *
 * @param structured The structured transport.
 * @param timeout_us Longest wait for the first object in microseconds, `WTGRAM_FOREVER`, or 0 to
 *   not wait.
 * @param arena Buffer for the objects, which are stored one after the other.
 * @param arena_capacity Size of `arena`, in bytes.
 * @param received Array that gets the position of each object. Datagrams that are not objects take
 *   an element with their status.
 * @param capacity Number of elements in `received`, at least 1; one call takes at most 1024.
 * @param count Gets the number of elements filled.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_BUFFER_TOO_SMALL`: not even the first object fits. `received[0].length` is the
 *   size needed; nothing is lost.
 * - `WTGRAM_ERROR_CLOSED`: the structured transport is closed and everything that arrived has been
 *   received.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_receive_batch(wtgram_structured structured,
                                              int64_t timeout_us,
                                              uint8_t *arena,
                                              size_t arena_capacity,
                                              wtgram_received_object *received,
                                              size_t capacity,
                                              size_t *count);

/** @} */

/**
 * @name Statistics of a structured transport
 * What became of objects and datagrams.
 * @{
 */

/** Statistics of a structured transport. */
typedef struct {
  /** Size of this struct, set by `wtgram_structured_stats_init`. */
  size_t struct_size;
  /** Objects queued for sending. */
  uint64_t sent;
  /** Not sent: `UNKNOWN_TYPE`. */
  uint64_t send_unknown_type;
  /** Not sent: `SERIALIZATION`. */
  uint64_t send_not_serialized;
  /** Not sent: `TOO_LARGE`. */
  uint64_t send_too_large;
  /** Not sent because the object below refused the datagram. */
  uint64_t send_failed;
  /** Objects received by the program. */
  uint64_t received;
  /** Dropped: `UNKNOWN_TYPE`. */
  uint64_t receive_unknown_type;
  /** Dropped: `TRUNCATED`. */
  uint64_t receive_truncated;
  /** Dropped: `DESERIALIZATION`. */
  uint64_t receive_not_deserialized;
  /** Dropped: `TOO_LARGE`. */
  uint64_t receive_too_large;
  /** Over a session: datagrams dropped because the queue was full. */
  uint64_t receive_dropped_full;
  /** Over a session: datagrams in the queue. */
  uint64_t receive_queued;
} wtgram_structured_stats;

/** For bindings: `wtgram_structured_stats_init` for a struct of `size` bytes. */
void wtgram_structured_stats_init_sized(wtgram_structured_stats *stats, size_t size);

/** Fills `*stats` with its size and zeroes. NULL is ignored. */
static inline void wtgram_structured_stats_init(wtgram_structured_stats *stats)
{
  wtgram_structured_stats_init_sized(stats, sizeof *stats);
}

/**
 * Stores the statistics of the structured transport.
 *
 * @param structured The structured transport.
 * @param stats Gets the statistics; prepared by `wtgram_structured_stats_init`.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_structured_get_stats(wtgram_structured structured,
                                          wtgram_structured_stats *stats);

/** @} */

/** @} */

/* ============================================================================================ *
 * 12. Poller                                                                                   *
 * ============================================================================================ */

/**
 * @defgroup poller Poller
 * Waits for many objects at once, with one thread or with one file descriptor in your event loop.
 * Call order: `wtgram_poller_new`, `wtgram_poller_add` for each object, then `wtgram_poller_wait`
 * again and again, and `wtgram_poller_free`.
 * @{
 */

/** What a poller reports, as bits. */
typedef enum {
  /** A server has a session to accept. */
  WTGRAM_READY_ACCEPT = 1,
  /** There is something to receive. */
  WTGRAM_READY_READABLE = 2,
  /**
   * The outgoing queue has space for one more datagram of any size, without evicting, rejecting
   * or waiting.
   */
  WTGRAM_READY_WRITABLE = 4,
  /**
   * The object is closed. Always reported, whether you asked for it or not. You can still
   * receive what has arrived, and it is still reported.
   */
  WTGRAM_READY_CLOSED = 8,
  /** A session is established. */
  WTGRAM_READY_CONNECTED = 16,
  /** The outgoing queue is not high (see `wtgram_water_marks`). */
  WTGRAM_READY_LOW_WATER = 32,
  /**
   * The largest possible datagram changed. Every poller reports each change once, also one from
   * before the object was added. A program that reads the size after this report misses nothing.
   */
  WTGRAM_READY_SIZE_CHANGED = 64,
  /** An outcome can be fetched. */
  WTGRAM_READY_OUTCOME = 128,
  /** A monitor has an alert to fetch. */
  WTGRAM_READY_ALERT = 256,
  /** The peer is silent (see `wtgram_heartbeat_options`). */
  WTGRAM_READY_PEER_SILENT = 512,
  /**
   * Not reported; combine it with the others: after one report the object is not reported again
   * until `wtgram_poller_modify`.
   */
  WTGRAM_READY_ONE_SHOT = (1 << 30),
} wtgram_readiness;

/** An object that is ready. */
typedef struct {
  /** The `id` of its handle. */
  uint64_t object;
  /** The value given to `wtgram_poller_add` or `wtgram_poller_modify`. */
  uint64_t cookie;
  /** Bits of `wtgram_readiness`. */
  uint32_t ready;
  /** Reserved; 0. */
  uint32_t reserved[3];
} wtgram_event;

/**
 * Makes a poller.
 *
 * @param poller Gets the handle. Free it with `wtgram_poller_free`.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_IO`: the process has no file descriptor left.
 * - `WTGRAM_ERROR_LIMIT_REACHED`: too many pollers.
 */
WTGRAM_MUST_USE wtgram_status wtgram_poller_new(wtgram_poller *poller);

/**
 * Adds an object. If it is ready already, it is reported. An object can be in several pollers.
 *
 * @param poller The poller.
 * @param object The `id` of a server, session, transport, reliability layer, structured transport
 *   or monitor.
 * @param interest Bits of `wtgram_readiness` that the object can have; 0 reports only its end.
 * @param cookie Returned with each event.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_HANDLE`: of the poller or the object.
 * - `WTGRAM_ERROR_INVALID_ARGUMENT`: the object can never be ready for this.
 * - `WTGRAM_ERROR_INVALID_STATE`: the object is in this poller already.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_poller_add(wtgram_poller poller,
                                uint64_t object,
                                uint32_t interest,
                                uint64_t cookie);

/**
 * Changes what a poller reports about an object, and arms `WTGRAM_READY_ONE_SHOT` again.
 *
 * @param poller The poller.
 * @param object The `id` of the object.
 * @param interest As for `wtgram_poller_add`.
 * @param cookie Returned with each event.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_ARGUMENT`: the object can never be ready for this.
 * - `WTGRAM_ERROR_INVALID_STATE`: the object is not in this poller.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_poller_modify(wtgram_poller poller,
                                   uint64_t object,
                                   uint32_t interest,
                                   uint64_t cookie);

/**
 * Removes an object. A wait that started before may still report it; later ones do not. Objects
 * that are freed leave their pollers by themselves.
 *
 * @param poller The poller.
 * @param object The `id` of the object.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_INVALID_STATE`: the object is not in this poller.
 */
wtgram_status wtgram_poller_remove(wtgram_poller poller, uint64_t object);

/**
 * Waits until an object is ready. The poller is level-triggered: an object is reported as long as
 * it is ready. If more are ready than fit, they take turns.
 *
 * Several threads may wait. An object may be reported to more than one of them; with
 * `WTGRAM_READY_ONE_SHOT` it is reported to one.
 *
 * @param poller The poller.
 * @param timeout_us Longest wait in microseconds, `WTGRAM_FOREVER`, or 0 to not wait.
 * @param events Array for the events.
 * @param capacity Number of elements in `events`, at least 1.
 * @param count Gets the number of events; 0 after `wtgram_poller_wake`.
 *
 * @return
 * - `WTGRAM_OK`
 * - `WTGRAM_ERROR_TIMED_OUT`: the timeout elapsed.
 * - `WTGRAM_ERROR_WOULD_BLOCK`: the timeout is 0, and the call would have to wait.
 * - `WTGRAM_ERROR_CLOSED`: the poller was freed meanwhile.
 */
WTGRAM_MUST_USE
wtgram_status wtgram_poller_wait(wtgram_poller poller,
                                 int64_t timeout_us,
                                 wtgram_event *events,
                                 size_t capacity,
                                 size_t *count);

/**
 * Makes one `wtgram_poller_wait` return, the current one or the next, with 0 events if nothing is
 * ready.
 */
wtgram_status wtgram_poller_wake(wtgram_poller poller);

/**
 * Stores a file descriptor that is readable while an object is ready, for `poll`, `epoll` and
 * event loops. When it is, call `wtgram_poller_wait` with timeout 0 until it returns
 * `WTGRAM_ERROR_WOULD_BLOCK`. It works level-triggered and edge-triggered.
 *
 * @param poller The poller.
 * @param fd Gets the descriptor. The poller owns it: only poll it; do not read, write or close it.
 */
WTGRAM_MUST_USE wtgram_status wtgram_poller_get_fd(wtgram_poller poller, int *fd);

/**
 * Releases the poller and closes its descriptor. Calls that wait on it return
 * `WTGRAM_ERROR_CLOSED`. Handles that are zero or released are ignored.
 */
void wtgram_poller_free(wtgram_poller poller);

/** @} */

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WTGRAM_H
