// Threads build containers, hand them to each other and take them apart; the sums are known.
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

struct alignas(256) Wide {
    std::uint64_t values[32];
};

struct Parcel {
    std::map<int, std::string> ordered;
    std::unordered_map<std::string, std::vector<int>> hashed;
    std::vector<std::unique_ptr<Wide>> wide;
};

class Queue {
  public:
    void put(std::unique_ptr<Parcel> parcel) {
        std::lock_guard<std::mutex> guard(lock_);
        parcels_.push_back(std::move(parcel));
        filled_.notify_one();
    }
    std::unique_ptr<Parcel> take() {
        std::unique_lock<std::mutex> guard(lock_);
        filled_.wait(guard, [this] { return !parcels_.empty(); });
        auto parcel = std::move(parcels_.front());
        parcels_.pop_front();
        return parcel;
    }

  private:
    std::mutex lock_;
    std::condition_variable filled_;
    std::deque<std::unique_ptr<Parcel>> parcels_;
};

static std::unique_ptr<Parcel> make_parcel(int number) {
    auto parcel = std::make_unique<Parcel>();
    for (int i = 0; i < 200; i++) {
        parcel->ordered[i] = std::string(static_cast<std::size_t>(i + number) % 90, 'a');
        parcel->hashed["key " + std::to_string(i % 50)].push_back(i);
        parcel->wide.push_back(std::make_unique<Wide>());
        parcel->wide.back()->values[i % 32] = static_cast<std::uint64_t>(i);
    }
    return parcel;
}

static std::uint64_t weigh(const Parcel &parcel) {
    std::uint64_t sum = 0;
    for (const auto &[key, text] : parcel.ordered)
        sum += text.size() * static_cast<std::uint64_t>(key + 1);
    for (const auto &[key, values] : parcel.hashed)
        sum += key.size() * values.size();
    for (const auto &wide : parcel.wide) {
        if (reinterpret_cast<std::uintptr_t>(wide.get()) % alignof(Wide) != 0)
            return 0;
        for (std::uint64_t value : wide->values)
            sum += value;
    }
    return sum;
}

int main() {
    constexpr int pairs = 3, parcels = 150;
    Queue queues[pairs];
    std::uint64_t sums[pairs] = {};
    std::vector<std::thread> threads;
    for (int pair = 0; pair < pairs; pair++) {
        threads.emplace_back([&, pair] {
            for (int i = 0; i < parcels; i++)
                queues[pair].put(make_parcel(i * (pair + 1)));
        });
        threads.emplace_back([&, pair] {
            for (int i = 0; i < parcels; i++)
                sums[pair] += weigh(*queues[pair].take());
        });
    }
    for (auto &thread : threads)
        thread.join();
    for (int pair = 0; pair < pairs; pair++)
        std::printf("%d %llu\n", pair, static_cast<unsigned long long>(sums[pair]));
}
