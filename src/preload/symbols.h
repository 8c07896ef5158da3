/*
 * symbols: finds the next definition of a function in load order, as dlsym(RTLD_NEXT) does.
 *
 * Not dlsym itself: before glibc 2.34 that lives in libdl, which a preload library must not need;
 * and a failing dlsym allocates, which recurses into a host's own allocator. Needs dl_iterate_phdr
 * alone, which glibc and musl both have. Takes the loader's (recursive) lock: call it from a
 * constructor or a resolver hook, never where a signal handler may be.
 */
#ifndef PRELOAD_SYMBOLS_H
#define PRELOAD_SYMBOLS_H

/* The default version of `name` in the first object loaded after this library; NULL: none has it.
 */
void *symbol_next(const char *name);

/*
 * The file name that the loader gave this library, as the first symbol_next() saw it: asking again
 * would take the loader's lock. NULL when unknown. Valid as long as we are.
 */
const char *symbol_own_file(void);

#endif
