/* getsockopt: SO_ERROR is where a program learns what became of its non-blocking connect(). */
#include <errno.h>
#include <sys/socket.h>

#include "preload/hook.h"
#include "preload/real.h"
#include "preload/told.h"

EXPORT int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict length)
{
    int result = real_getsockopt(fd, level, name, value, length);

    if (level == SOL_SOCKET && name == SO_ERROR && result == 0 && *length == sizeof(int)) {
        int error;

        __builtin_memcpy(&error, value, sizeof(error)); /* the program's may be unaligned */
        told_error(fd, error);
    }
    return result;
}
