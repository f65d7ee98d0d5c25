#include "certificates.h"
#include "check.h"

#include <stdarg.h>
#include <unistd.h>

static char made_folder[64];
static pid_t made_by;

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) != 0) {
        fprintf(stderr, "failed: %s\n", command);
        exit(1);
    }
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", made_folder);
    if (getpid() == made_by && system(command) != 0) fprintf(stderr, "could not remove %s\n", made_folder);
}

static void make_ca(const char *folder, const char *name)
{
    run("cd '%s' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s.key -out "
        "%s.pem "
        "-days 30 -subj '/CN=wtgram test %s' -addext basicConstraints=critical,CA:TRUE 2>>log",
        folder, name, name, name);
}

static void make_leaf(const char *folder, const char *name, const char *names, const char *from, const char *to)
{
    run("cd '%s' && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s.key -out %s.csr "
        "-subj '/CN=wtgram test %s' 2>>log",
        folder, name, name, name);
    run("cd '%s' && printf 'subjectAltName=%s\\nbasicConstraints=CA:FALSE\\n' > ext && "
        "openssl ca -batch -notext -config ca.cnf -extfile ext -in %s.csr -out %s.pem -startdate %s -enddate %s 2>>log",
        folder, names, name, name, from, to);
}

void certificates_make(struct certificates *certificates)
{
    memset(certificates, 0, sizeof *certificates);
    strcpy(certificates->folder, "/tmp/wtgram-test-XXXXXX");
    CHECK(mkdtemp(certificates->folder) != NULL);
    const char *folder = certificates->folder;
    strcpy(made_folder, folder);
    made_by = getpid();
    CHECK(atexit(remove_folder) == 0);
    /* `openssl x509 -req` of OpenSSL 3.0 cannot backdate a certificate; `openssl ca` can. */
    run("cd '%s' && : > index && echo 01 > serial && printf "
        "'[ca]\\ndefault_ca=c\\n[c]\\ndatabase=index\\nserial=serial\\n"
        "new_certs_dir=.\\ncertificate=ca.pem\\nprivate_key=ca.key\\ndefault_md=sha256\\npolicy=p\\nunique_subject="
        "no\\n"
        "[p]\\ncommonName=supplied\\n' > ca.cnf",
        folder);
    make_ca(folder, "ca");
    make_ca(folder, "other_ca");
    make_leaf(folder, "good", "DNS:localhost,IP:127.0.0.1", "20240101000000Z", "20490101000000Z");
    make_leaf(folder, "expired", "DNS:localhost,IP:127.0.0.1", "20200101000000Z", "20200110000000Z");
    make_leaf(folder, "other_name", "DNS:other.example", "20240101000000Z", "20490101000000Z");
#define PLACE(member, file) snprintf(certificates->member, sizeof certificates->member, "%s/%s", folder, file)
    PLACE(ca, "ca.pem");
    PLACE(other_ca, "other_ca.pem");
    PLACE(good, "good.pem");
    PLACE(good_key, "good.key");
    PLACE(expired, "expired.pem");
    PLACE(expired_key, "expired.key");
    PLACE(other_name, "other_name.pem");
    PLACE(other_name_key, "other_name.key");
#undef PLACE
}

uint8_t *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    uint8_t *bytes = (uint8_t *)malloc(65536);
    CHECK(bytes != NULL);
    *length = fread(bytes, 1, 65536, file);
    CHECK(*length > 0 && *length < 65536);
    fclose(file);
    return bytes;
}
