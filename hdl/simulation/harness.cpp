// The Verilated accelerator in a loop of its own: clock, reset, external memory, register accesses. Called from device.py.

#include <chrono>
#include <memory>

#include "Vgemmary.h"
#include "verilated.h"
#if GM_WAVES == 1
#include "verilated_fst_c.h"
using Waves = VerilatedFstC;
#elif GM_WAVES == 2
#include "verilated_vcd_c.h"
using Waves = VerilatedVcdC;
#endif
#include "memory.h"

namespace {

enum Stop { CYCLES = 0, INTERRUPT = 1, VIOLATION = 2 };
enum Failure { NO_ANSWER = -1, BROKEN = -2 };
constexpr unsigned REGISTER_CYCLES = 10000;  // a register access that takes longer hangs

#if !GM_DMA
struct NoMemory {
    std::string violation;
    uint64_t read_bytes = 0, write_bytes = 0;
    NoMemory(Vgemmary&, const MemoryOptions&) {}
    void reset() {}
    void drive(uint64_t) {}
    void sample(uint64_t) {}
    void finish() {}
};
#endif

class Model {
    VerilatedContext context;
    std::unique_ptr<Vgemmary> top;
#if GM_WAVES
    std::unique_ptr<Waves> trace;
#endif

  public:
#if GM_DMA
    Memory<Vgemmary, GM_BUS_BYTES> memory;
#else
    NoMemory memory;
#endif
    uint64_t now = 0;
    unsigned compute_ratio = 1;  // cycles of the tensor engine in one of all else, if it has a clock of its own
    uint64_t run_cycles = 0;
    double seconds = 0;  // that run_cycles took

    Model(const MemoryOptions& options, const char* waves)
        : memory(prepare(options), options) {
#if GM_WAVES
        trace = std::make_unique<Waves>();
        top->trace(trace.get(), 99);
        trace->open(waves);
#endif
        reset();
    }

    ~Model() {
        top->final();
#if GM_WAVES
        trace->close();
#endif
    }

    void reset() {
        top->aresetn = 0;
        top->s_axil_awvalid = top->s_axil_wvalid = top->s_axil_bready = top->s_axil_arvalid = top->s_axil_rready = 0;
        top->s_axil_awprot = top->s_axil_arprot = 0;
        for (int i = 0; i < 8; i++) {
            memory.reset();
            if (i == 5) top->aresetn = 1;
            eval(0);
            edge();
        }
    }

    int run(uint64_t cycles) {
        const auto start = std::chrono::steady_clock::now();
        int stop = CYCLES;
        uint64_t i = 0;
        for (; i < cycles && stop == CYCLES; i++) {
            settle();
            if (top->irq) stop = INTERRUPT;
            edge();
            if (!memory.violation.empty()) stop = VIOLATION;
        }
        run_cycles += i;
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        return stop;
    }

    // Both return the AXI response, or a Failure.
    int write_register(uint32_t address, uint32_t data) {
        top->s_axil_awaddr = address, top->s_axil_wdata = data, top->s_axil_wstrb = 15;
        top->s_axil_awvalid = top->s_axil_wvalid = top->s_axil_bready = 1;
        for (unsigned i = 0; i < REGISTER_CYCLES; i++) {
            settle();
            const bool aw = top->s_axil_awready, w = top->s_axil_wready, b = top->s_axil_bvalid;
            const int response = top->s_axil_bresp;
            edge();
            if (aw) top->s_axil_awvalid = 0;
            if (w) top->s_axil_wvalid = 0;
            if (b) {
                top->s_axil_bready = 0;
                return memory.violation.empty() ? response : BROKEN;
            }
        }
        return NO_ANSWER;
    }

    int read_register(uint32_t address, uint32_t* data) {
        top->s_axil_araddr = address;
        top->s_axil_arvalid = top->s_axil_rready = 1;
        for (unsigned i = 0; i < REGISTER_CYCLES; i++) {
            settle();
            const bool ar = top->s_axil_arready, r = top->s_axil_rvalid;
            const int response = top->s_axil_rresp;
            *data = top->s_axil_rdata;
            edge();
            if (ar) top->s_axil_arvalid = 0;
            if (r) {
                top->s_axil_rready = 0;
                return memory.violation.empty() ? response : BROKEN;
            }
        }
        return NO_ANSWER;
    }

  private:
    Vgemmary& prepare(const MemoryOptions& options) {
        context.randReset(GM_RANDOM_INITIAL ? 2 : 0);
        context.randSeed(int(options.seed % 0x7fffffff) + 1);
        context.traceEverOn(GM_WAVES);
        top = std::make_unique<Vgemmary>(&context, "");
        return *top;
    }

    void eval(int clock) {
        top->aclk = clock;
#if GM_TWO_CLOCKS
        top->compute_aclk = clock;
#endif
        top->eval();
        dump(clock ? 5 : 0);
    }

    // The cycles of the tensor engine but the first, whose rising edge is that of the other clock.
    void compute() {
#if GM_TWO_CLOCKS
        for (unsigned i = 1; i < compute_ratio; i++)
            for (int clock = 0; clock < 2; clock++) {
                top->compute_aclk = clock;
                top->eval();
                dump(5 + 5.0 * (2 * i + clock - 1) / (2 * compute_ratio - 1));
            }
#endif
    }

    // Tenths of a cycle; with two clocks a hundred times finer.
    void dump([[maybe_unused]] double time) {
#if GM_WAVES
        const uint64_t unit = GM_TWO_CLOCKS ? 100 : 1;
        trace->dump(10 * unit * now + uint64_t(unit * time));
#endif
    }

    // The first half of a cycle: inputs change, and with the clock low every output settles.
    void settle() {
        memory.drive(now);
        eval(0);
        memory.sample(now);
    }

    // The second half: the rising edge, then the inputs that the handshakes of this cycle end.
    void edge() {
        eval(1);
        compute();
        memory.finish();
        now++;
    }
};

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

void* gm_open(const MemoryOptions* options, const char* waves) { return new Model(*options, waves); }
void gm_compute_ratio(void* model, unsigned ratio) { static_cast<Model*>(model)->compute_ratio = ratio; }
void gm_close(void* model) { delete static_cast<Model*>(model); }
void gm_reset(void* model) { static_cast<Model*>(model)->reset(); }
int gm_run(void* model, uint64_t cycles) { return static_cast<Model*>(model)->run(cycles); }
uint64_t gm_cycles(void* model) { return static_cast<Model*>(model)->now; }
uint64_t gm_run_cycles(void* model) { return static_cast<Model*>(model)->run_cycles; }
double gm_seconds(void* model) { return static_cast<Model*>(model)->seconds; }
const char* gm_violation(void* model) { return static_cast<Model*>(model)->memory.violation.c_str(); }

// Words at address, address + step, .... The AXI response of the first access that failed, NO_ANSWER, BROKEN, or 0.
int gm_write(void* model, uint32_t address, uint32_t step, const uint32_t* data, uint64_t words) {
    for (uint64_t i = 0; i < words; i++)
        if (int response = static_cast<Model*>(model)->write_register(address + step * i, data[i])) return response;
    return 0;
}

int gm_read(void* model, uint32_t address, uint32_t* data, uint64_t words) {
    for (uint64_t i = 0; i < words; i++)
        if (int response = static_cast<Model*>(model)->read_register(address + 4 * i, data + i)) return response;
    return 0;
}
}
