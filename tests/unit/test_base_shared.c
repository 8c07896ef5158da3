#include "base/shared.h"

#include <string.h>

#include "base/hash.h"
#include "unit.h"

enum { WORDS = 9 };

START_TEST(a_copy_out_and_in_is_exact_and_no_longer)
{
    _Alignas(8) uint64_t plain[WORDS], back[WORDS];
    atomic_u64 shared[WORDS];

    for (unsigned i = 0; i < WORDS; i++) {
        plain[i] = hash_mix(i + 1);
        back[i] = 7;
        atomic_init(&shared[i], 7);
    }
    shared_write(shared, plain, (WORDS - 1) * 8);
    shared_read(back, shared, (WORDS - 1) * 8);
    ck_assert_mem_eq(back, plain, (WORDS - 1) * 8);
    ck_assert_uint_eq(load_relaxed(&shared[WORDS - 1]), 7);
    ck_assert_uint_eq(back[WORDS - 1], 7);
}
END_TEST

START_TEST(hashes_differ_by_every_byte_and_by_length)
{
    ck_assert_uint_eq(hash_bytes("cache", 5), hash_bytes("cache", 5));
    ck_assert_uint_ne(hash_bytes("cache", 5), hash_bytes("cachf", 5));
    ck_assert_uint_ne(hash_bytes("cache", 5), hash_bytes("cache", 6));
    ck_assert_uint_ne(hash_bytes("", 0), hash_bytes("", 1));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_copy_out_and_in_is_exact_and_no_longer,
                                  hashes_differ_by_every_byte_and_by_length};

    return unit_run("base_shared", tests, COUNT_OF(tests));
}
