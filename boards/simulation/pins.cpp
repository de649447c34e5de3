// A board's design in a loop of its own, and a UART at its pins: a bit every `divisor` cycles. Called from pins.py.

#include <cstdint>
#include <deque>
#include <memory>

#include "Vgemmary.h"
#include "verilated.h"

namespace {

constexpr unsigned RESET_CYCLES = 4;
constexpr int FRAME = 10;  // bits of a byte: start, data, stop

class Model {
    VerilatedContext context;
    std::unique_ptr<Vgemmary> top;
    const unsigned divisor;

    // To the design: bits of the byte under way, and cycles until the next one.
    unsigned send_bits = 0, send_wait = 0;
    int send_left = 0;
    // From the design.
    unsigned receive_bits = 0, receive_wait = 0;
    int receive_left = 0;

  public:
    uint64_t now = 0;
    uint64_t framing_errors = 0;
    std::deque<uint8_t> to_send, received;

    explicit Model(unsigned divisor) : divisor(divisor) {
        context.randReset(0);
        top = std::make_unique<Vgemmary>(&context, "");
        top->rx = 1;
        top->rst = 1;
        for (unsigned i = 0; i < RESET_CYCLES; i++) cycle();
        top->rst = 0;
    }

    ~Model() { top->final(); }

    // Ends early when `bytes` have been received.
    void run(uint64_t cycles, uint64_t bytes) {
        for (uint64_t i = 0; i < cycles && received.size() < bytes; i++) {
            send();
            receive();
            cycle();
        }
    }

  private:
    void cycle() {
        top->clk = 0;
        top->eval();
        top->clk = 1;
        top->eval();
        now++;
    }

    void send() {
        if (send_wait > 0) {
            send_wait--;
            return;
        }
        if (send_left == 0) {
            if (to_send.empty()) return;
            send_bits = unsigned(to_send.front()) << 1 | 1u << 9;
            to_send.pop_front();
            send_left = FRAME;
        }
        top->rx = send_bits & 1;
        send_bits >>= 1;
        send_left--;
        send_wait = divisor - 1;
    }

    void receive() {
        if (receive_left == 0) {
            if (top->tx) return;
            receive_left = FRAME;
            receive_bits = 0;
            receive_wait = divisor / 2;
        }
        if (receive_wait > 0) {
            receive_wait--;
            return;
        }
        receive_bits |= unsigned(top->tx) << (FRAME - receive_left);
        receive_left--;
        receive_wait = divisor - 1;
        if (receive_left == 0) {
            framing_errors += (receive_bits & 1) || !(receive_bits >> 9);
            received.push_back(uint8_t(receive_bits >> 1));
        }
    }
};

Model* self(void* model) { return static_cast<Model*>(model); }

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

void* gp_open(uint32_t divisor) { return new Model(divisor); }
void gp_close(void* model) { delete self(model); }
void gp_run(void* model, uint64_t cycles, uint64_t bytes) { self(model)->run(cycles, bytes); }
uint64_t gp_cycles(void* model) { return self(model)->now; }
uint64_t gp_framing_errors(void* model) { return self(model)->framing_errors; }
void gp_send(void* model, const uint8_t* data, uint64_t size) {
    self(model)->to_send.insert(self(model)->to_send.end(), data, data + size);
}

// At most `size` received bytes; returns how many.
uint64_t gp_receive(void* model, uint8_t* data, uint64_t size) {
    auto& received = self(model)->received;
    uint64_t count = 0;
    for (; count < size && !received.empty(); count++) {
        data[count] = received.front();
        received.pop_front();
    }
    return count;
}
}
