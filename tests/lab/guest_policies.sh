#!/usr/bin/env bash
# Runs inside a machine of the lab for check.sh: every policy's shares of its nodes, whatever nodes it has, and
# how many mappings they cost. Prints TAP; exit status 1 when a promise is broken. $1: folder of the test
# programs; $2: brief (at most 64 MiB of each size of block) or full.
set -uo pipefail
programs=$1 extent=$2
library=alloc/numa_alloc.so # relative: a list of libraries cannot hold a path with spaces
sysfs=/sys/devices/system/node
failed=0
# What has no policy of its own is moved by the kernel towards who uses it, as time permits.
echo 0 >/proc/sys/kernel/numa_balancing

# The numbers of a list such as 0,2-3.
numbers() {
    local part
    for part in $(tr ',' ' ' <"$1"); do seq "${part%-*}" "${part#*-}"; done
}

mapfile -t memory < <(numbers $sysfs/has_memory)
mapfile -t cpu_nodes < <(numbers $sysfs/has_cpu)
nodes=$(numbers $sysfs/online | wc -l)
label_start="$nodes nodes, Linux $(uname -r | sed 's/-.*//')"

first_cpu() { numbers "$sysfs/node$1/cpulist" | head -n 1; }

# The nodes that a thread of node $1 is given memory on: its own, or the nearest where that has none.
local_nodes() {
    local distances node least=255 near=()
    read -r -a distances <"$sysfs/node$1/distance"
    for node in "${memory[@]}"; do
        if [ "${distances[node]}" -lt "$least" ]; then least=${distances[node]} near=(); fi
        [ "${distances[node]}" -ne "$least" ] || near+=("$node")
    done
    local IFS=,
    echo "${near[*]}"
}

# $1: label, the rest: a command. Passes its TAP on, with the label; a status above 1 is a failure of its own.
labelled() {
    local label="$label_start, $1" status
    shift
    "$@" | sed -E "s/^(ok|not ok) - /&$label: /"
    status=${PIPESTATUS[0]}
    [ "$status" -eq 0 ] || failed=1
    [ "$status" -le 1 ] || echo "not ok - $label: the program ended with status $status"
}

# $1: node of the CPU, $2: policy, $3: as or within, $4: shares, $5: smallest size of the policy's blocks.
spread() {
    local environment=("LD_PRELOAD=$library" "NUMA_ALLOC_POLICY=$2" ${5:+"NUMA_ALLOC_MIN_SIZE=$5"})
    local brief=()
    [ "$extent" = full ] || brief=(--brief)
    labelled "$2${5:+ from $5 bytes} on a CPU of node $1" taskset -c "$(first_cpu "$1")" \
        env "${environment[@]}" "$programs/shares" "${brief[@]}" "$3" "$4" ${5:+"$5" "$(local_nodes "$1")"}
}

# $1: policy.
few_mappings() {
    labelled "$1" env LD_PRELOAD=$library NUMA_ALLOC_POLICY="$1" "$programs/mappings" 20000 1 2000
}

# $1: policy that must be refused before main: one line on stderr, nothing on stdout, status 2.
refused() {
    local output status
    output=$(NUMA_ALLOC_POLICY=$1 LD_PRELOAD=$library /bin/echo main ran 2>/tmp/refused)
    status=$?
    if [ "$status" -eq 2 ] && [ -z "$output" ] && [ "$(wc -l </tmp/refused)" -eq 1 ] &&
        grep -q NUMA_ALLOC_POLICY /tmp/refused; then
        echo "ok - $label_start, $1 is refused before main with one line"
    else
        sed 's/^/# /' /tmp/refused
        echo "not ok - $label_start, $1 is refused before main with one line (status $status, output '$output')"
        failed=1
    fi
}

# "N=weight,..." for the nodes with memory, the weights $1... over and over.
weights() {
    local i words=()
    for i in "${!memory[@]}"; do
        words+=("${memory[i]}=${*:$((i % $# + 1)):1}")
    done
    local IFS=,
    echo "${words[*]}"
}

# The CPU node used with the $1-th of several runs: all take their turn.
turn() { echo "${cpu_nodes[$1 % ${#cpu_nodes[@]}]}"; }

every_machine() {
    local i node all first=${memory[0]} last=${memory[-1]}
    all=$(IFS=, && echo "${memory[*]}")
    for i in "${!memory[@]}"; do
        spread "$(turn $((i + 1)))" "bind:${memory[i]}" as "${memory[i]}"
    done
    for node in "${cpu_nodes[@]}"; do
        case ",$all," in
        *",$node,"*)
            if [ "$extent" = full ] || [ "$node" = "${cpu_nodes[-1]}" ]; then spread "$node" local as "$node"; fi
            ;;
        *) # no memory of its own
            spread "$node" local within "$(local_nodes "$node")"
            refused "bind:$node"
            refused "interleave:$first,$node"
            ;;
        esac
    done
    node=${cpu_nodes[-1]}
    spread "$node" none within "$(local_nodes "$node")"
    spread "$(turn 0)" "preferred:$last" as "$last"
    spread "$(turn 1)" interleave:all as "$all"
    spread "$(turn 0)" "weighted:$(weights 3 1 2)" as "$(weights 3 1 2)"
    spread "${memory[0]}" "weighted:$(weights 1 2)" as "$(weights 1 2)" 65536
    refused "bind:$nodes"
    refused bind:x
    refused "preferred:$nodes"
    few_mappings "weighted:$(weights 3 1 2)"
    few_mappings interleave:all
}

# The policies of every_machine with other nodes, weights and smallest sizes.
more_policies() {
    local first=${memory[0]} last=${memory[-1]} all
    all=$(IFS=, && echo "${memory[*]}")
    spread "$(turn 1)" "preferred:$all" within "$all"
    spread "$(turn 1)" "preferred:$first,$last" within "$first,$last"
    spread "$(turn 0)" "interleave:$last" as "$last"
    spread "$(turn 0)" "interleave:$first,$last" as "$first,$last"
    spread "$(turn 1)" "weighted:$(weights 1 5)" as "$(weights 1 5)"
    spread "$(turn 0)" "weighted:$(weights 255 85)" as "$(weights 255 85)"
    spread "$(turn 1)" "weighted:$first=1,$last=7" as "$first=1,$last=7"
    spread "${memory[0]}" interleave:all as "$all" 1048576
    spread "${memory[1]}" interleave:all as "$all" 65536
    spread "${memory[0]}" "bind:$last" as "$last" 1024
    spread "${memory[1]}" "preferred:$first" as "$first" 33554432
    for policy in bind:"$first" preferred:"$last" local none; do few_mappings "$policy"; done
    few_stripes
    kernel_weights
}

# Stripes are mappings: they may take an eighth of what the kernel allows, and grow instead.
few_stripes() {
    local allowed=/proc/sys/vm/max_map_count before
    before=$(<$allowed)
    echo 4000 >$allowed
    labelled "weighted:$(weights 3 1) where 4000 mappings are allowed" env LD_PRELOAD=$library \
        NUMA_ALLOC_POLICY="weighted:$(weights 3 1)" "$programs/mappings" 3000 64 750 # 500, and its others
    echo "$before" >$allowed
}

# The kernel's own weights of weighted interleave, where it has them: equal to the user's, and not.
kernel_weights() {
    local folder=/sys/kernel/mm/mempolicy/weighted_interleave pair
    [ -w "$folder/node${memory[0]}" ] || return 0
    for pair in $(weights 3 1 | tr ',' ' '); do
        echo "${pair#*=}" >"$folder/node${pair%=*}"
    done
    label_start+=", kernel's weights 3 and 1"
    spread "$(turn 0)" "weighted:$(weights 3 1)" as "$(weights 3 1)"
    spread "$(turn 0)" "weighted:$(weights 1 3)" as "$(weights 1 3)"
    few_mappings "weighted:$(weights 3 1)"
}

every_machine
[ "$extent" != full ] || more_policies
exit "$failed"
