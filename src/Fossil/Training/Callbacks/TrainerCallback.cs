namespace Fossil.Training;

/// <summary>Follows a run (transformers: <c>TrainerCallback</c>). What it throws ends the run.</summary>
public abstract class TrainerCallback
{
    /// <summary>Whether it is called on every rank where several processes train together; else on rank 0 alone, which reports and writes files.</summary>
    public virtual bool RunsOnEveryRank => false;

    /// <summary>Before the first step, also of a resumed run.</summary>
    public virtual void OnTrainBegin(TrainerState state)
    {
    }

    /// <summary>After each step.</summary>
    /// <returns>Whether the run goes on; otherwise it is saved and ends.</returns>
    public virtual bool OnStepEnd(TrainerState state) => true;

    /// <summary>After each report.</summary>
    public virtual void OnLog(TrainerState state, TrainingLog log)
    {
    }

    /// <summary>After each evaluation.</summary>
    public virtual void OnEvaluate(TrainerState state, EvaluationLog evaluation)
    {
    }

    /// <summary>After each checkpoint.</summary>
    public virtual void OnSave(TrainerState state, string checkpoint)
    {
    }

    /// <summary>After the last step.</summary>
    public virtual void OnTrainEnd(TrainerState state)
    {
    }
}
