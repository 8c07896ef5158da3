/* gethostbyname2_r: gethostbyname_r for a family of one's choice. */
#include <errno.h>
#include <netdb.h>
#include <stddef.h>

#include "preload/hook.h"
#include "preload/lookup.h"
#include "preload/real.h"

EXPORT int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict entry,
                            char *restrict buffer, size_t size, struct hostent **restrict result,
                            int *restrict error)
{
    struct lookup lookup;

    if (!real_gethostbyname2_r())
        return ENOSYS;
    if (name && (family == AF_INET || family == AF_INET6) &&
        lookup_name(name, 0, family == AF_INET ? LOOKUP_V4 : LOOKUP_V6, true, &lookup)) {
        int code = real_gethostbyname2_r()(lookup.text, family, entry, buffer, size, result, error);

        if (code == 0 && *result)
            lookup_given(&lookup);
        if (code == ERANGE || (code == 0 && *result))
            return code;
    }
    return real_gethostbyname2_r()(name, family, entry, buffer, size, result, error);
}
