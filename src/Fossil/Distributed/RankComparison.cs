using System.Security.Cryptography;
using System.Text;
using Fossil.CompilerServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Distributed;

/// <summary>Finds out before anything is computed whether all ranks are to do the same.</summary>
internal static class RankComparison
{
    /// <summary>Throws on every rank where one says something else than rank 0.</summary>
    /// <param name="group">The ranks.</param>
    /// <param name="facts">What this rank says: names and values, in the same order on all.</param>
    /// <param name="advice">What to do.</param>
    /// <exception cref="RanksDifferException">Names the ranks and what they say.</exception>
    public static void RequireSame(ProcessGroup group, IReadOnlyList<(string Name, string Value)> facts, string advice)
    {
        string[] lines = [.. facts.Select(fact => $"{fact.Name}\t{fact.Value.ReplaceLineEndings(" ")}")];
        var text = Encoding.UTF8.GetBytes(string.Join('\n', lines));
        var hashes = group.AllGather(SHA256.HashData(text));
        if (hashes.All(hash => hash.AsSpan().SequenceEqual(hashes[0]))) return;
        var expected = Encoding.UTF8.GetString(group.Broadcast(text)).Split('\n');
        var difference = Enumerable.Range(0, Math.Max(lines.Length, expected.Length)).Where(i => lines.ElementAtOrDefault(i) != expected.ElementAtOrDefault(i)).Select(i => Describe(lines.ElementAtOrDefault(i), expected.ElementAtOrDefault(i))).FirstOrDefault("");
        var differences = group.AllGather(Encoding.UTF8.GetBytes(difference));
        throw new RanksDifferException($"{string.Join("; ", differences.Index().Where(entry => entry.Item.Length > 0).Select(entry => $"rank {entry.Index}: {Encoding.UTF8.GetString(entry.Item)}"))}. {advice}");
    }

    /// <summary>Throws on every rank where the values of parameters are not rank 0's, bit for bit.</summary>
    public static void RequireSameParameters(ProcessGroup group, IEnumerable<(string Name, Parameter Parameter)> parameters, string advice) =>
        RequireSame(group, [.. parameters.Where(named => !named.Parameter.IsInvalid).Select(named => ($"the values of '{named.Name}'", Hash(named.Parameter)))], advice);

    /// <summary>Copies rank 0's values of tensors to all.</summary>
    public static void Broadcast(ProcessGroup group, IEnumerable<Tensor> tensors)
    {
        using var withoutGradient = no_grad();
        foreach (var tensor in tensors)
        {
            using var scope = NewDisposeScope();
            var host = tensor.detach().cpu().contiguous();
            group.Broadcast(NativeTensor.Data(host), host.numel() * host.ElementSize);
            if (NativeTensor.Data(host) != NativeTensor.Data(tensor)) tensor.copy_(host);
        }
    }

    private static string Describe(string? mine, string? rank0)
    {
        var (own, first) = (mine?.Split('\t') ?? ["nothing", ""], rank0?.Split('\t') ?? ["nothing", ""]);
        return own[0] == first[0] ? $"{own[0]}: {own[1]}, on rank 0 {first[1]}" : $"{own[0]} ({own[1]}) where rank 0 has {first[0]} ({first[1]})";
    }

    private static unsafe string Hash(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        var host = tensor.detach().cpu().contiguous();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var (data, bytes) = (NativeTensor.Data(host), host.numel() * host.ElementSize);
        for (long start = 0; start < bytes; start += 1 << 30) hash.AppendData(new ReadOnlySpan<byte>((byte*)data + start, (int)Math.Min(1 << 30, bytes - start)));
        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16));
    }
}
