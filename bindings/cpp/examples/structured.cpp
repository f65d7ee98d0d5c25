// Typed objects: a player sends its position, and a server answers with a greeting. Both ends are in one program, over
// loopback. Objects are structs for the program, converted by nlohmann/json, and MessagePack on the wire. The other end
// may also be a pywebtransport StructuredDatagramTransport with the registry {1: Position, 2: Greeting} and the
// MsgPackSerializer.
//
//   structured
//
// Exit codes: 0 all went well, 1 something failed.
#include <nlohmann/json.hpp>
#include <wtgram/wtgram.hpp>

#include <iostream>

using namespace std::chrono_literals;

namespace game
{

struct position {
    int id;
    double x, y;
};
struct greeting {
    std::string text;
    std::vector<int> players;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(position, id, x, y)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(greeting, text, players)

// Both ends agree on the types and their ids; no position is larger than 200 bytes.
using channel = wtgram::typed<wtgram::type<1, position, 200>, wtgram::type<2, greeting>>;

} // namespace game

namespace
{

// Opens the channel over the session: datagrams with other type ids go to the session's transport.
game::channel open(const wtgram::session &session)
{
    return game::channel::open(session, wtgram::structured_options().serializer(wtgram::serializer_kind::message_pack));
}

// Receives one object. A datagram that is not an object has its own error; the function prints it and waits for the
// next.
game::channel::any receive(const game::channel &from)
{
    for (;;) {
        auto object = from.receive_for(5s);
        if (object) return *std::move(object);
        if (object.error() == wtgram::errc::timed_out || object.error() == wtgram::errc::closed)
            throw wtgram::error(object.error());
        std::cerr << "skipped: " << object.error().message() << '\n';
    }
}

} // namespace

int main()
try {
    const auto listener = wtgram::server::listen(wtgram::listen_options().host("127.0.0.1"));
    const auto client =
        wtgram::session::connect("https://127.0.0.1:" + std::to_string(listener.local_port()) + "/game",
                                 wtgram::connect_options().trust_certificate_hash(listener.certificate_hash()));
    const auto accepted = listener.accept(5s);
    const auto player = open(client), server = open(accepted);

    player.send(game::position{7, 1.5, -2});
    const auto position = std::get<game::position>(receive(server));
    std::cout << "the server got a position: " << nlohmann::json(position) << '\n';

    server.send(game::greeting{"hello, " + std::to_string(position.id), {position.id}});
    std::cout << "the player got a greeting: " << std::get<game::greeting>(receive(player)).text << '\n';

    // An object that cannot be serialized is refused here and never sent.
    const auto refused = player.try_send(1, "{\"x\":NaN}");
    std::cout << "NaN is no JSON: " << refused.error().message() << '\n';

    const auto stats = player.stats();
    std::cout << "the player sent " << stats.sent << ", received " << stats.received << ", was refused "
              << stats.send_not_serialized << '\n';
    wtgram::shutdown(1s);
    return stats.sent == 1 && stats.received == 1 && stats.send_not_serialized == 1 ? 0 : 1;
} catch (const std::exception &failure) {
    std::cerr << "structured: " << failure.what() << '\n';
    return 1;
}
