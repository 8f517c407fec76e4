/* certificate.h: a certificate that vouches for itself, for localhost, and its key: of nobody, for
 * specs and benchmarks alone. */
#ifndef TIDE_SPEC_CERTIFICATE_H
#define TIDE_SPEC_CERTIFICATE_H

static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBjzCCATWgAwIBAgIUDdLUHNXyeaMb2R1itqBOLBzEqrswCgYIKoZIzj0EAwIw\n"
    "ETEPMA0GA1UEAwwGZmF1bHRzMCAXDTI2MTIwMTEyNTAyMFoYDzIxMjYxMTA3MTI1\n"
    "MDIwWjARMQ8wDQYDVQQDDAZmYXVsdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
    "AATOEvRwJ0FZfsz3ni9FBRpNskSUWA6hF2SP2lDOHdxkS1o18VQeM0y1LEsHg0js\n"
    "NXXOoCoOIsUoIyeJKnC/q9kPo2kwZzAdBgNVHQ4EFgQUmw2mER9HwB/PF5wVWN5H\n"
    "A+dVw+MwHwYDVR0jBBgwFoAUmw2mER9HwB/PF5wVWN5HA+dVw+MwDwYDVR0TAQH/\n"
    "BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwIDSAAwRQIg\n"
    "LRdg4OXP8B7CSnzMvv/5SHw6vhLDj3aKB76P5ByYePUCIQDbjVyYVuNtdQOQy7xz\n"
    "XI/9fgexH6mdO26xQQYlMQ2Lrw==\n"
    "-----END CERTIFICATE-----\n";

static const char key[] = "-----BEGIN EC PRIVATE KEY-----\n"
                          "MHcCAQEEIP1lgfOKBNI6hNR8ipEUYZihTTOYGz2FRUpJZN14lH/uoAoGCCqGSM49\n"
                          "AwEHoUQDQgAEzhL0cCdBWX7M954vRQUaTbJElFgOoRdkj9pQzh3cZEtaNfFUHjNM\n"
                          "tSxLB4NI7DV1zqAqDiLFKCMniSpwv6vZDw==\n"
                          "-----END EC PRIVATE KEY-----\n";

#endif
