/*
 * hook: what every hook file shares. A hook is a border: it decides whether the call is ours, hands
 * over, and alone answers for errno.
 */
#ifndef PRELOAD_HOOK_H
#define PRELOAD_HOOK_H

/* Seen by the program; everything else is hidden (exports.map). */
#define EXPORT __attribute__((visibility("default")))

#endif
