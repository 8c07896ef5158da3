/* gethostbyname_r: the answer lies in the caller's buffer, which may be too small (ERANGE). */
#include <errno.h>
#include <netdb.h>
#include <stddef.h>

#include "preload/hook.h"
#include "preload/lookup.h"
#include "preload/real.h"

EXPORT int gethostbyname_r(const char *restrict name, struct hostent *restrict entry,
                           char *restrict buffer, size_t size, struct hostent **restrict result,
                           int *restrict error)
{
    struct lookup lookup;

    if (!real_gethostbyname_r())
        return ENOSYS;
    if (name && lookup_name(name, 0, LOOKUP_V4, true, &lookup)) {
        int code = real_gethostbyname_r()(lookup.text, entry, buffer, size, result, error);

        if (code == 0 && *result)
            lookup_given(&lookup);
        if (code == ERANGE || (code == 0 && *result))
            return code;
    }
    return real_gethostbyname_r()(name, entry, buffer, size, result, error);
}
