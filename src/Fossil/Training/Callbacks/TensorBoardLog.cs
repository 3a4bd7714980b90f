using System.Buffers.Binary;
using Fossil.Serialization;
using Google.Protobuf;
using Tensorboard;
using TorchSharp;
using TorchSharp.Modules;

namespace Fossil.Training;

/// <summary>
/// Writes reports and evaluations as TensorBoard's event files, with the names that transformers uses. A resumed run first drops the events of the
/// steps that it takes again; a new one leaves the files of others as they are.
/// </summary>
/// <param name="folder">The folder; each run, also a resumed one, adds a file to it.</param>
public sealed class TensorBoardLog(string folder) : TrainerCallback
{
    // A record is a length, its checksum, the event, and its checksum.
    private const int LengthBytes = 8;
    private const int ChecksumBytes = 4;
    private SummaryWriter? writer;

    /// <inheritdoc/>
    public override void OnTrainBegin(TrainerState state)
    {
        if (state.GlobalStep > 0 && Directory.Exists(folder))
        {
            foreach (var path in Directory.EnumerateFiles(folder, "events.out.tfevents.*")) DropAfter(path, state.GlobalStep);
        }

        writer = torch.utils.tensorboard.SummaryWriter(folder);
    }

    /// <inheritdoc/>
    public override void OnLog(TrainerState state, TrainingLog log)
    {
        Add("train/loss", log.Loss, log.Step);
        Add("train/learning_rate", log.LearningRate, log.Step);
        Add("train/grad_norm", log.GradientNorm, log.Step);
        Add("train/tokens_per_second", log.TokensPerSecond, log.Step);
        Add("train/epoch", log.Epoch, log.Step);
    }

    /// <inheritdoc/>
    public override void OnEvaluate(TrainerState state, EvaluationLog evaluation) => Add("eval/loss", evaluation.Loss, evaluation.Step);

    /// <summary>Keeps the events up to a step. Where a killed process left half a record, the file ends, as it does for TensorBoard.</summary>
    private static void DropAfter(string path, int step)
    {
        var records = File.ReadAllBytes(path);
        var kept = new List<Range>();
        for (var start = 0; TryRead(records, start, out var end, out var eventStep); start = end)
        {
            if (eventStep <= step) kept.Add(start..end);
        }

        if (kept.Sum(record => record.End.Value - record.Start.Value) == records.Length) return;
        AtomicFile.Write(path, stream => kept.ForEach(record => stream.Write(records.AsSpan(record))));
    }

    private static bool TryRead(byte[] records, int start, out int end, out long step)
    {
        (end, step) = (0, 0);
        var rest = records.AsSpan(start);
        const int Prefix = LengthBytes + ChecksumBytes;
        if (rest.Length < Prefix + ChecksumBytes) return false;
        var length = BinaryPrimitives.ReadUInt64LittleEndian(rest);
        if (length > (ulong)(rest.Length - Prefix - ChecksumBytes)) return false;
        try
        {
            // TorchSharp's messages are read from arrays only.
            step = Event.Parser.ParseFrom(records, start + Prefix, (int)length).Step;
        }
        catch (InvalidProtocolBufferException)
        {
            return false;
        }

        end = start + Prefix + (int)length + ChecksumBytes;
        return true;
    }

    private void Add(string tag, double value, int step) => writer?.add_scalar(tag, (float)value, step);
}
