# Counts what fails in $failed. To be read by the tests of the packages.
failed=0

# check WHAT COMMAND...: shows what the command said only if it fails.
check() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then
        echo "ok    $what"
    else
        printf 'FAIL  %s\n' "$what"
        printf '%s\n' "$said" | sed 's/^/        /'
        failed=$((failed + 1))
    fi
}

# fails COMMAND...: succeeds if the command fails.
fails() {
    ! "$@"
}
