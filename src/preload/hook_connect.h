/*
 * hook_connect: the body that connect and __connect share. Hidden: a program that defines connect()
 * as a call of __connect() must not come round to itself.
 */
#ifndef PRELOAD_HOOK_CONNECT_H
#define PRELOAD_HOOK_CONNECT_H

#include <sys/socket.h>

int hook_connect(int fd, const struct sockaddr *address, socklen_t length);

#endif
