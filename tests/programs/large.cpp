// Much for a compiler to do: templates of templates, and the heaviest headers.
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <numeric>
#include <random>
#include <regex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct Numbered {
    std::map<std::string, std::vector<std::tuple<int, double, Numbered<N - 1>>>> members;
    std::variant<int, std::string, std::vector<Numbered<N - 1>>> one;
    std::size_t count() const {
        std::size_t all = std::visit([](const auto &held) { return sizeof(held); }, one);
        for (const auto &[name, list] : members)
            all += name.size() + std::accumulate(list.begin(), list.end(), std::size_t{0},
                                                 [](std::size_t sum, const auto &item) { return sum + std::get<2>(item).count(); });
        return all;
    }
};
template <> struct Numbered<0> {
    std::size_t count() const { return 1; }
};

template <std::size_t... Is> std::size_t counts(std::index_sequence<Is...>) {
    return (Numbered<Is>{}.count() + ... + 0);
}

template <typename T> void sorted(std::vector<T> &values) {
    std::stable_sort(values.begin(), values.end(), [](const T &a, const T &b) { return b < a; });
    std::unordered_map<T, std::function<T(T)>> functions;
    for (auto &value : values)
        functions[value] = [&value](T other) { return value < other ? value : other; };
}

int main() {
    std::vector<std::string> words;
    std::regex word("([a-z]+)[0-9]*(x|y)?");
    std::string line;
    std::mt19937_64 random(7);
    while (std::getline(std::cin, line))
        for (std::sregex_iterator at(line.begin(), line.end(), word), end; at != end; ++at)
            words.push_back(at->str());
    std::shuffle(words.begin(), words.end(), random);
    sorted(words);
    std::vector<long> numbers{1, 2, 3};
    sorted(numbers);
    std::cout << counts(std::make_index_sequence<3>{}) << words.size() << '\n';
}
