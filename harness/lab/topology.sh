# shellcheck shell=bash
# Reads a topology: what nodes a virtual machine has. Sourced by vm.sh.
#
# A topology is a text file with a line a node and a line a distance:
#   node ID cpus LIST|none    ids from 0 without gaps; LIST as in 0-1,4; the same number of CPUs on each
#                             node that has some
#   distance FROM TO VALUE    both ways, 11 to 254 (the firmware's table; a node's own is 10)
# Text after # is for people.

# Sets topology_cpus (a node's CPU list, '' for none), topology_cpu_nodes (each CPU's node) and
# topology_distances ("FROM TO VALUE"). $1: file. Prints what is wrong and returns 1.
topology_read() {
    local line words number=0 id cpu range first last of_node=0 counted
    topology_cpus=() topology_cpu_nodes=() topology_distances=()
    local -A cpu_node=()
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        read -r -a words <<<"${line%%#*}"
        if [[ "${words[*]}" =~ ^node\ ([0-9]{1,2})\ cpus\ (none|[0-9]{1,2}(-[0-9]{1,2})?(,[0-9]{1,2}(-[0-9]{1,2})?)*)$ ]]; then
            id=${words[1]} counted=0
            if [ "$id" -ne ${#topology_cpus[@]} ]; then
                echo "$1:$number: node $id: the next node's id is ${#topology_cpus[@]}"
                return 1
            fi
            topology_cpus+=("${words[3]/none/}")
            for range in ${topology_cpus[id]//,/ }; do
                first=${range%-*} last=${range#*-}
                for ((cpu = first; cpu <= last; cpu++)); do
                    if [ -n "${cpu_node[$cpu]:-}" ]; then
                        echo "$1:$number: CPU $cpu is on node ${cpu_node[$cpu]} already"
                        return 1
                    fi
                    cpu_node[$cpu]=$id counted=$((counted + 1))
                done
            done
            if [ "$counted" -gt 0 ] && [ "$of_node" -gt 0 ] && [ "$counted" -ne "$of_node" ]; then
                echo "$1:$number: node $id has $counted CPUs, a node before it $of_node; accepted: as many or none"
                return 1
            fi
            [ "$counted" -eq 0 ] || of_node=$counted
        elif [[ "${words[*]}" =~ ^distance\ [0-9]{1,2}\ [0-9]{1,2}\ [0-9]{2,3}$ ]]; then
            topology_distances+=("${words[*]:1}")
        elif [ ${#words[@]} -gt 0 ]; then
            echo "$1:$number: '${words[*]}': accepted are 'node ID cpus LIST|none' and 'distance FROM TO VALUE'"
            return 1
        fi
    done <"$1"
    for ((cpu = 0; cpu < ${#cpu_node[@]}; cpu++)); do
        if [ -z "${cpu_node[$cpu]:-}" ]; then
            echo "$1: no node has CPU $cpu, though there are ${#cpu_node[@]} CPUs"
            return 1
        fi
        topology_cpu_nodes+=("${cpu_node[$cpu]}")
    done
    if [ ${#topology_cpu_nodes[@]} -eq 0 ]; then
        echo "$1: no node has a CPU"
        return 1
    fi
    for line in "${topology_distances[@]}"; do
        read -r -a words <<<"$line"
        if [ "${words[0]}" -eq "${words[1]}" ] || [ "${words[0]}" -ge ${#topology_cpus[@]} ] ||
            [ "${words[1]}" -ge ${#topology_cpus[@]} ] || [ "${words[2]}" -le 10 ] || [ "${words[2]}" -gt 254 ]; then
            echo "$1: 'distance $line': accepted are two different nodes and 11 to 254"
            return 1
        fi
    done
}

# Prints QEMU's options, one a line. $1: bytes of memory of each node.
topology_options() {
    local id words line sockets=0 cpus
    for id in "${!topology_cpus[@]}"; do
        [ -z "${topology_cpus[id]}" ] || sockets=$((sockets + 1))
    done
    printf '%s\n' -smp "${#topology_cpu_nodes[@]},sockets=$sockets,cores=$((${#topology_cpu_nodes[@]} / sockets)),threads=1" \
        -m "$((${#topology_cpus[@]} * $1))B"
    for id in "${!topology_cpus[@]}"; do
        cpus=${topology_cpus[id]:+,cpus=${topology_cpus[id]//,/,cpus=}}
        printf '%s\n' -object "memory-backend-ram,id=m$id,size=$1B" -numa "node,nodeid=$id$cpus,memdev=m$id"
    done
    for line in "${topology_distances[@]}"; do
        read -r -a words <<<"$line"
        printf '%s\n' -numa "dist,src=${words[0]},dst=${words[1]},val=${words[2]}"
    done
}
