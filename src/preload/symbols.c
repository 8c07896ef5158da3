#include "preload/symbols.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* Linux keeps version indexes in 16 bits: the top one hides a symbol that is not the default. */
enum { VERSION_HIDDEN = 0x8000 };

struct object {
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *gnu_hash;
    const uint32_t *sysv_hash;
    const ElfW(Versym) * versions;
};

struct search {
    const char *name;
    bool past_ourselves;
    void *found;
};

static _Atomic(const char *) own_file; /* relaxed: every walk stores the same */

static bool contains(const struct dl_phdr_info *info, uintptr_t address)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;

        if (segment->p_type == PT_LOAD && address >= start && address - start < segment->p_memsz)
            return true;
    }
    return false;
}

/* glibc relocates these pointers in place, musl and the vDSO do not. */
static const void *absolute(const struct dl_phdr_info *info, ElfW(Addr) pointer)
{
    uintptr_t address = pointer < info->dlpi_addr ? info->dlpi_addr + pointer : pointer;

    return (const void *)address;
}

static bool read_dynamic(const struct dl_phdr_info *info, struct object *out)
{
    const ElfW(Dyn) *entry = NULL;

    *out = (struct object){0};
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            entry = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    if (!entry)
        return false;
    for (; entry->d_tag != DT_NULL; entry++) {
        const void *where = absolute(info, entry->d_un.d_ptr);

        switch (entry->d_tag) {
        case DT_SYMTAB:
            out->symbols = where;
            break;
        case DT_STRTAB:
            out->strings = where;
            break;
        case DT_GNU_HASH:
            out->gnu_hash = where;
            break;
        case DT_HASH:
            out->sysv_hash = where;
            break;
        case DT_VERSYM:
            out->versions = where;
            break;
        default:
            break;
        }
    }
    return out->symbols && out->strings;
}

static bool defines(const struct object *object, uint32_t index, const char *name)
{
    const ElfW(Sym) *symbol = &object->symbols[index];

    return symbol->st_shndx != SHN_UNDEF && symbol->st_value != 0 &&
           (symbol->st_info & 0xf) == STT_FUNC &&
           !(object->versions && (object->versions[index] & VERSION_HIDDEN)) &&
           text_equal(object->strings + symbol->st_name, name);
}

/* The GNU hash table: header, Bloom filter, buckets, chains that end with the low bit set. */
static uint32_t find_gnu(const struct object *object, const char *name)
{
    const uint32_t *table = object->gnu_hash;
    uint32_t bucket_count = table[0], first = table[1], bloom_words = table[2];
    const uint32_t *buckets = table + 4 + bloom_words * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    const uint32_t *chains = buckets + bucket_count;
    uint32_t hash = 5381;

    for (const char *c = name; *c; c++)
        hash = hash * 33 + (unsigned char)*c;
    if (bucket_count == 0)
        return 0;
    uint32_t index = buckets[hash % bucket_count];

    if (index < first)
        return 0;
    for (;; index++) {
        uint32_t link = chains[index - first];

        if ((link | 1) == (hash | 1) && defines(object, index, name))
            return index;
        if (link & 1)
            return 0;
    }
}

static uint32_t find_sysv(const struct object *object, const char *name)
{
    const uint32_t *table = object->sysv_hash;
    uint32_t bucket_count = table[0];
    const uint32_t *buckets = table + 2, *chains = buckets + bucket_count;
    uint32_t hash = 0;

    for (const char *c = name; *c; c++) {
        hash = (hash << 4) + (unsigned char)*c;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    if (bucket_count == 0)
        return 0;
    for (uint32_t i = buckets[hash % bucket_count]; i != STN_UNDEF; i = chains[i])
        if (defines(object, i, name))
            return i;
    return 0;
}

static int visit(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct search *search = argument;
    struct object object;
    uint32_t index = 0;

    (void)size;
    if (!search->past_ourselves) {
        if (contains(info, (uintptr_t)&visit)) {
            search->past_ourselves = true;
            atomic_store_explicit(&own_file, info->dlpi_name, memory_order_relaxed);
        }
        return 0;
    }
    if (!read_dynamic(info, &object))
        return 0;
    if (object.gnu_hash)
        index = find_gnu(&object, search->name);
    else if (object.sysv_hash)
        index = find_sysv(&object, search->name);
    if (index == 0)
        return 0;
    search->found = (void *)(info->dlpi_addr + object.symbols[index].st_value);
    return 1;
}

void *symbol_next(const char *name)
{
    struct search search = {.name = name};

    dl_iterate_phdr(visit, &search);
    return search.found;
}

const char *symbol_own_file(void)
{
    return atomic_load_explicit(&own_file, memory_order_relaxed);
}
