// External memory behind AXI4, seen from the subordinate's side, one call of drive() and sample() a clock cycle.
//
// Reads and writes have a bandwidth each; bursts of one direction are answered in order, any number outstanding. With the
// address handshake in cycle t, read data start in cycle t + latency at the earliest; the response of a write comes `latency`
// cycles after its last beat. Write data wait for their address. Past the end of the memory: DECERR. In the error range: SLVERR.
// Breaches of the protocol by the manager end up in `violation`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>

struct MemoryOptions {
    uint8_t* data;
    uint64_t size;
    uint64_t latency;
    double read_bytes_per_cycle;
    double write_bytes_per_cycle;
    double stall_probability;  // of each channel in each cycle
    uint64_t seed;
    uint64_t error_low, error_high;  // error range: low <= address < high
};

class Random {
  public:
    Random(uint64_t seed, double probability)
        : state(seed * 2 + 1), threshold(probability * 4294967296.0) {}
    bool happens() {
        if (!threshold) return false;
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        return (state * 0x2545F4914F6CDD1Dull) >> 32 < threshold;
    }

  private:
    uint64_t state, threshold;
};

class Bandwidth {
  public:
    Bandwidth(double rate, double beat) : rate(rate), beat(beat) {}
    void tick() { credit = std::min(credit + rate, beat + rate); }
    bool allows() const { return credit >= beat; }
    void take() { credit -= beat; }

  private:
    double rate, beat, credit = 0;
};

template <class Ports, unsigned BUS>
class Memory {
  public:
    std::string violation;
    uint64_t read_bytes = 0, write_bytes = 0;

    Memory(Ports& ports, const MemoryOptions& options)
        : p(ports), o(options), random(o.seed, o.stall_probability),
          read_bandwidth(o.read_bytes_per_cycle, BUS), write_bandwidth(o.write_bytes_per_cycle, BUS) {}

    // Forgets what is outstanding, as the reset of the whole system does.
    void reset() {
        reads.clear(), writes.clear(), responses.clear();
        ar = aw = {}, w_held = false;
        p.m_axi_rvalid = p.m_axi_bvalid = p.m_axi_arready = p.m_axi_awready = p.m_axi_wready = 0;
    }

    // Sets the inputs of the accelerator for the cycle `now`.
    void drive(uint64_t now) {
        read_bandwidth.tick(), write_bandwidth.tick();
        p.m_axi_arready = !random.happens();
        p.m_axi_awready = !random.happens();
        p.m_axi_wready = !writes.empty() && write_bandwidth.allows() && !random.happens();
        if (!p.m_axi_rvalid && !reads.empty() && reads.front().due <= now && read_bandwidth.allows() && !random.happens())
            present();
        if (!p.m_axi_bvalid && !responses.empty() && responses.front().due <= now && !random.happens()) {
            p.m_axi_bvalid = 1;
            p.m_axi_bid = responses.front().id;
            p.m_axi_bresp = responses.front().response;
        }
    }

    // Takes the handshakes of the cycle `now`, its signals having settled. `finish()` follows the clock edge.
    void sample(uint64_t now) {
        r_done = p.m_axi_rvalid && p.m_axi_rready;
        b_done = p.m_axi_bvalid && p.m_axi_bready;
        if (address("AR", ar, p.m_axi_arvalid, p.m_axi_arready, p.m_axi_araddr, p.m_axi_arlen, p.m_axi_arsize, p.m_axi_arburst))
            reads.push_back({ar.address, now + o.latency, ar.beats, p.m_axi_arid, 0});
        if (p.m_axi_wvalid || w_held) write_beat(now);
        if (address("AW", aw, p.m_axi_awvalid, p.m_axi_awready, p.m_axi_awaddr, p.m_axi_awlen, p.m_axi_awsize, p.m_axi_awburst))
            writes.push_back({aw.address, 0, aw.beats, p.m_axi_awid, 0});
    }

    void finish() {
        if (r_done) {
            p.m_axi_rvalid = 0;
            read_bandwidth.take();
            read_bytes += BUS;
            Burst& burst = reads.front();
            burst.address += BUS;
            if (!--burst.beats) reads.pop_front();
        }
        if (b_done) {
            p.m_axi_bvalid = 0;
            responses.pop_front();
        }
    }

  private:
    struct Burst {
        uint64_t address, due;
        unsigned beats, id, response;
    };
    struct Address {
        uint64_t address;
        unsigned beats;
        bool held;
    };

    Ports& p;
    const MemoryOptions o;
    Random random;
    Bandwidth read_bandwidth, write_bandwidth;
    std::deque<Burst> reads, writes, responses;
    Address ar{}, aw{};
    uint8_t w_data[BUS];
    bool w_held = false, r_done = false, b_done = false;

    void breach(const std::string& what) {
        if (violation.empty()) violation = what;
    }

    unsigned response(uint64_t address) const {
        if (address >= o.error_low && address < o.error_high) return 2;
        return address >= o.size || o.size - address < BUS ? 3 : 0;
    }

    void present() {
        const Burst& burst = reads.front();
        const uint64_t address = burst.address & ~uint64_t(BUS - 1);
        const unsigned resp = response(address);
        if (resp) std::memset(&p.m_axi_rdata, 0, BUS);
        else std::memcpy(&p.m_axi_rdata, o.data + address, BUS);
        p.m_axi_rresp = resp;
        p.m_axi_rid = burst.id;
        p.m_axi_rlast = burst.beats == 1;
        p.m_axi_rvalid = 1;
    }

    // An address channel: true in the cycle of the handshake, with what was asked for in `channel`.
    bool address(const char* name, Address& channel, bool valid, bool ready, uint64_t address, unsigned len, unsigned size,
                 unsigned burst) {
        if (channel.held && (!valid || address != channel.address || len + 1 != channel.beats))
            breach(std::string(name) + " was withdrawn or changed before it was accepted");
        channel = {address, len + 1, valid && !ready};
        if (!valid || !ready) return false;
        const uint64_t start = address & ~uint64_t(BUS - 1);
        if ((start >> 12) != ((start + uint64_t(len) * BUS) >> 12))
            breach(std::string(name) + " burst crosses 4 KiB at address " + std::to_string(address));
        if (burst != 1 || (1u << size) != BUS) breach(std::string(name) + " burst is not INCR of the full bus width");
        return true;
    }

    void write_beat(uint64_t now) {
        const auto* data = reinterpret_cast<const uint8_t*>(&p.m_axi_wdata);
        if (w_held && (!p.m_axi_wvalid || std::memcmp(w_data, data, BUS))) breach("W was withdrawn or changed before it was accepted");
        w_held = p.m_axi_wvalid && !p.m_axi_wready;
        if (w_held) std::memcpy(w_data, data, BUS);
        if (!p.m_axi_wvalid || !p.m_axi_wready) return;

        write_bandwidth.take();
        Burst& burst = writes.front();
        const uint64_t address = burst.address & ~uint64_t(BUS - 1);
        const uint64_t strobe = p.m_axi_wstrb;
        const unsigned resp = response(address);
        burst.response = std::max(burst.response, resp);
        write_bytes += __builtin_popcountll(strobe);
        if (!resp) {
            if (strobe == ~0ull >> (64 - BUS)) std::memcpy(o.data + address, data, BUS);
            else
                for (unsigned i = 0; i < BUS; i++)
                    if (strobe >> i & 1) o.data[address + i] = data[i];
        }
        burst.address += BUS;
        if (p.m_axi_wlast != (burst.beats == 1)) breach("WLAST is wrong at address " + std::to_string(address));
        if (!--burst.beats) {
            burst.due = now + o.latency;
            responses.push_back(burst);
            writes.pop_front();
        }
    }
};
