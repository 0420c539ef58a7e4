// What C++ promises when operator new cannot have the memory: the new-handler, then bad_alloc.
#include <cstdint>
#include <cstdio>
#include <new>

static bool handler_called;

static void handler() {
    handler_called = true;
    std::set_new_handler(nullptr);
}

struct alignas(128) Wide {
    char bytes[128];
};

int main() {
    volatile std::size_t impossible = PTRDIFF_MAX / 256;
    try {
        std::set_new_handler(handler);
        void *block = ::operator new(impossible * 300);
        std::printf("got %p\n", block);
    } catch (const std::bad_alloc &) {
        std::puts(handler_called ? "handler called, then bad_alloc" : "bad_alloc without handler");
    }
    try {
        Wide *wide = new Wide[impossible];
        std::printf("got %p\n", static_cast<void *>(wide));
    } catch (const std::bad_alloc &) {
        std::puts("bad_alloc of an aligned array");
    }
    std::printf("nothrow: %p\n", ::operator new(impossible * 300, std::nothrow));
    std::printf("aligned nothrow: %p\n",
                ::operator new[](impossible * 300, std::align_val_t(64), std::nothrow));
}
