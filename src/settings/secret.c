#include "settings/secret.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "settings/file.h"

static int read_password(const char *path, char out[static SECRET_TEXT],
                         char why[static SECRET_WHY])
{
    char reason[FILE_WHY] = "";
    struct file file;
    int error = file_load(&file, path, reason);

    if (!error) {
        file.text[strcspn(file.text, "\r\n")] = '\0';
        if (!text_copy(out, SECRET_TEXT, file.text)) {
            text_copy(reason, sizeof(reason), "holds a password of more than 255 bytes");
            *out = '\0';
            error = -EINVAL;
        }
        file_free(&file);
    }
    if (error)
        text_format(why, SECRET_WHY, "password_file %s", reason);
    return error;
}

int secret_of(const char *username, const char *password, const char *password_file,
              struct secret *out, char why[static SECRET_WHY])
{
    memset(out, 0, sizeof(*out));
    if (username)
        text_copy(out->username, sizeof(out->username), username);
    if (password)
        text_copy(out->password, sizeof(out->password), password);
    if (!password_file)
        return 0;
    return read_password(password_file, out->password, why);
}
