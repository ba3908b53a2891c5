# Dials leads with curl, one after the other, by a script that knows nothing of callguard.
#
#     sh dial.sh FIRST COUNT
#
# Its only settings are RETELL_API_KEY and RETELL_BASE_URL in the environment. Prints a line of
# JSON for each lead.
set -eu
lead=$1
while [ "$lead" -lt $(($1 + $2)) ]; do
    number=$(printf '+1213%07d' "$lead")
    call_id=$(curl --silent --show-error --fail --retry 2 "$RETELL_BASE_URL/v2/create-phone-call" \
        --header "Authorization: Bearer $RETELL_API_KEY" \
        --json "{\"from_number\": \"+14157774444\", \"to_number\": \"$number\"}" |
        sed "s|.*\"call_id\": *\"\([^\"]*\).*|\1|")
    printf '{"lead": %d, "call_id": "%s"}\n' "$lead" "$call_id"
    lead=$((lead + 1))
done
