/* gethostbyname: IPv4 only; the answer lies in libc's own static memory. */
#include <netdb.h>
#include <stddef.h>

#include "preload/hook.h"
#include "preload/lookup.h"
#include "preload/real.h"

EXPORT struct hostent *gethostbyname(const char *name)
{
    struct lookup lookup;

    if (!real_gethostbyname())
        return NULL;
    if (name && lookup_name(name, 0, LOOKUP_V4, true, &lookup)) {
        struct hostent *answer = real_gethostbyname()(lookup.text);

        if (answer) {
            lookup_given(&lookup);
            return answer;
        }
    }
    return real_gethostbyname()(name);
}
