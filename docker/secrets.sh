#!/bin/sh
# Make the secrets that docker-compose.yml names, each once: existing files are kept. To choose one yourself (Dotdigital's
# password, in production), write the file before or afterwards, without a newline at its end.
#
# Compose mounts the files as they are, and the containers' users are not yours: therefore everybody may read the files,
# and only you may enter the directory.
set -eu
directory=${1:-secrets}
umask 077
mkdir -p "$directory"
for name in sa_password source_password orderwise_password dotdigital_password hash_key grafana_password \
    state_token console_token; do
    file=$directory/owdd_$name
    [ -e "$file" ] && continue
    # SQL Server wants three of: upper case, lower case, digits, signs.
    printf 'Aa1%s' "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >"$file"
    chmod 0444 "$file"
    echo "made $file"
done
