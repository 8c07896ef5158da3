#include "probe/arena.h"

#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/text.h"
#include "probe/hiredis.h"

/* In front of every block; keeps blocks aligned for any type. */
union block {
    size_t size;
    max_align_t align;
};

static struct arena *current;
static jmp_buf give_up;

bool arena_open(struct arena *arena)
{
    void *memory = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    *arena = (struct arena){0};
    if (memory == MAP_FAILED)
        return false;
    arena->memory = memory;
    return true;
}

void arena_close(struct arena *arena)
{
    if (arena->memory)
        munmap(arena->memory, ARENA_SIZE);
    *arena = (struct arena){0};
}

bool arena_run(struct arena *arena, void (*work)(void *argument), void *argument)
{
    bool finished = false;

    current = arena;
    if (_setjmp(give_up) == 0) {
        work(argument);
        finished = true;
    }
    current = NULL;
    return finished;
}

static union block *block_of(void *memory)
{
    return (union block *)memory - 1;
}

static bool is_last(void *memory)
{
    return (char *)block_of(memory) == current->memory + current->last;
}

static size_t rounded(size_t size)
{
    return (size + sizeof(union block) - 1) / sizeof(union block) * sizeof(union block);
}

void *hiredis_malloc(size_t size)
{
    size_t room = ARENA_SIZE - current->used;
    union block *block;

    if (size > ARENA_SIZE || sizeof(*block) + rounded(size) > room)
        return NULL;
    block = (union block *)(void *)(current->memory + current->used);
    block->size = rounded(size);
    current->last = current->used;
    current->used += sizeof(*block) + block->size;
    return block + 1;
}

void *hiredis_calloc(size_t count, size_t size)
{
    size_t all;
    void *memory;

    if (__builtin_mul_overflow(count, size, &all))
        return NULL;
    memory = hiredis_malloc(all);
    if (memory)
        memset(memory, 0, all);
    return memory;
}

void hiredis_free(void *old)
{
    if (old && is_last(old))
        current->used = current->last;
}

void *hiredis_realloc(void *old, size_t size)
{
    size_t had = old ? block_of(old)->size : 0;
    void *memory;

    if (old && is_last(old)) {
        if (size > ARENA_SIZE || rounded(size) > ARENA_SIZE - current->last - sizeof(union block))
            return NULL;
        block_of(old)->size = rounded(size);
        current->used = current->last + sizeof(union block) + rounded(size);
        return old;
    }
    if (old && size <= had)
        return old;
    memory = hiredis_malloc(size);
    if (memory && old)
        memcpy(memory, old, had);
    return memory;
}

char *hiredis_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = hiredis_malloc(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

void hiredis_abort(void)
{
    longjmp(give_up, 1);
}

void hiredis_assert_fail(const char *claim, const char *file, unsigned line, const char *function)
{
    (void)claim;
    (void)file;
    (void)line;
    (void)function;
    hiredis_abort();
}

int hiredis_vsnprintf(char *to, size_t size, const char *format, va_list arguments)
{
    return (int)text_vformat(to, size, format, arguments);
}

int hiredis_vsnprintf_chk(char *to, size_t size, int flag, size_t room, const char *format,
                          va_list arguments)
{
    (void)flag;
    if (size > room)
        hiredis_abort();
    return hiredis_vsnprintf(to, size, format, arguments);
}

int hiredis_snprintf(char *to, size_t size, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = hiredis_vsnprintf(to, size, format, arguments);
    va_end(arguments);
    return length;
}

int hiredis_snprintf_chk(char *to, size_t size, int flag, size_t room, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = hiredis_vsnprintf_chk(to, size, flag, room, format, arguments);
    va_end(arguments);
    return length;
}

void *hiredis_memcpy_chk(void *to, const void *from, size_t size, size_t room)
{
    if (size > room)
        hiredis_abort();
    return memcpy(to, from, size);
}

void *hiredis_memmove_chk(void *to, const void *from, size_t size, size_t room)
{
    if (size > room)
        hiredis_abort();
    return memmove(to, from, size);
}

void *hiredis_memset_chk(void *to, int byte, size_t size, size_t room)
{
    if (size > room)
        hiredis_abort();
    return memset(to, byte, size);
}

/* RESP3's doubles answer nothing that is asked here, and strtod() knows the host's locale. */
double hiredis_strtod(const char *text, char **end)
{
    union {
        const char *is;
        char *as;
    } rest = {.is = text + strlen(text)};

    *end = rest.as;
    return 0;
}
